//! Changes of JSON that leave it JSON: bytes that are changed blindly are refused by its parser, most of them.

use serde_json::{Map, Number, Value};

/// Numbers at the ends of their ranges, or that nobody expects.
const NUMBERS: [f64; 8] = [0.0, -0.0, -1.0, 0.5, 1e-300, 1e300, f64::MAX, f64::MIN];
const WHOLE: [u64; 12] = [
    0,
    1,
    2,
    64,
    1023,
    u32::MAX as u64 - 1,
    u32::MAX as u64,
    1 << 53,
    i64::MAX as u64,
    1 << 63,
    u64::MAX - 1,
    u64::MAX,
];
const TEXTS: [&str; 6] = ["", "\u{1b}[31m", "\u{202e}", "\n", "é", "python"];

/// Changes one of the lines, or the one document, in `data`, whose first `size` bytes are it. `None` where that is no JSON, or
/// where it does not fit.
pub fn change(data: &mut [u8], size: usize, most: usize, seed: u32) -> Option<usize> {
    let mut dice = Dice(u64::from(seed) << 1 | 1);
    let text = std::str::from_utf8(&data[..size]).ok()?;
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    if lines.is_empty() {
        return None;
    }
    let at = dice.below(lines.len());
    match dice.below(8) {
        0 if lines.len() > 1 => drop(lines.remove(at)),
        1 if lines.len() > 1 => lines.insert(at, lines[dice.below(lines.len())].clone()),
        2 if lines.len() > 1 => lines.swap(at, 0),
        _ => {
            let mut value: Value = serde_json::from_str(&lines[at]).ok()?;
            for _ in 0..=dice.below(3) {
                let nodes = count(&value);
                let chosen = dice.below(nodes);
                let donor = node(&mut value, &mut dice.below(nodes)).cloned();
                let node = node(&mut value, &mut { chosen })?;
                change_node(node, donor, &mut dice);
            }
            let end = if lines[at].ends_with('\n') { "\n" } else { "" };
            lines[at] = format!("{value}{end}");
        }
    }
    let text = lines.concat();
    let fits = text.len() <= most.min(data.len());
    fits.then(|| {
        data[..text.len()].copy_from_slice(text.as_bytes());
        text.len()
    })
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(members) => members.values().map(count).sum::<usize>(),
        _ => 0,
    }
}

/// The node of this place, from the root on.
fn node<'a>(value: &'a mut Value, left: &mut usize) -> Option<&'a mut Value> {
    if *left == 0 {
        return Some(value);
    }
    *left -= 1;
    match value {
        Value::Array(items) => items.iter_mut().find_map(|item| node(item, left)),
        Value::Object(members) => members.values_mut().find_map(|member| node(member, left)),
        _ => None,
    }
}

fn change_node(node: &mut Value, donor: Option<Value>, dice: &mut Dice) {
    match node {
        Value::Number(number) => *number = changed(number, dice),
        Value::String(text) if dice.below(2) == 0 => text.push_str(TEXTS[dice.below(TEXTS.len())]),
        Value::Bool(flag) => *flag = !*flag,
        Value::Array(items) if !items.is_empty() => change_items(items, dice),
        Value::Object(members) if dice.below(3) == 0 => drop_member(members, dice),
        node if dice.below(4) == 0 => *node = Value::Null,
        node => *node = donor.unwrap_or_default(),
    }
}

fn changed(number: &Number, dice: &mut Dice) -> Number {
    let near = number.as_u64().unwrap_or_default();
    match dice.below(6) {
        0 => Number::from_f64(NUMBERS[dice.below(NUMBERS.len())]).unwrap_or_else(|| 0.into()),
        1 => near.wrapping_add(1).into(),
        2 => near.saturating_sub(1).into(),
        3 => (dice.below(16) as u64).into(),
        4 => Number::from_f64(number.as_f64().unwrap_or_default() * 1.5).unwrap_or_else(|| 0.into()),
        _ => WHOLE[dice.below(WHOLE.len())].into(),
    }
}

fn change_items(items: &mut Vec<Value>, dice: &mut Dice) {
    let at = dice.below(items.len());
    match dice.below(4) {
        0 => drop(items.remove(at)),
        1 => items.insert(at, items[dice.below(items.len())].clone()),
        2 => items.swap(at, 0),
        _ => items.clear(),
    }
}

fn drop_member(members: &mut Map<String, Value>, dice: &mut Dice) {
    let Some(name) = members.keys().nth(dice.below(members.len().max(1))).cloned() else { return };
    members.remove(&name);
}

/// Numbers of a seed (splitmix64).
struct Dice(u64);

impl Dice {
    /// One below `most`, which is not 0.
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % most as u64) as usize
    }
}
