//! What the targets share: the functions that tests call with the corpus, and changes of JSON that stay JSON.

#[path = "../../tests/fuzz_corpus/inputs.rs"]
pub mod inputs;
pub mod json;
