//! Where the command line meets the rooms below it: one line a call, so that a change there is a change
//! of one line here.
