//! docs/protocol.md says what the code does.

use hotseat_wire::{
    DEAD_MAN, HEARTBEAT, MAX_CONTACTS, MAX_DATAGRAM, MAX_EDGES, MAX_SLOTS, button, control,
    joystick, pen,
};

fn page() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/protocol.md");
    std::fs::read_to_string(path).unwrap()
}

/// The blocks of the page that begin with `FILE: NAME`, as file, name and the bytes in front of each line's words.
fn examples(page: &str) -> Vec<(String, String, Vec<u8>)> {
    let blocks = page.split("```").skip(1).step_by(2);
    let example = |block: &str| {
        let mut lines = block.lines().skip(1);
        let (file, name) = lines.next()?.split_once(": ")?;
        let hex: String = lines.map(|line| line.split("  ").next().unwrap_or_default()).collect();
        Some((file.to_owned(), name.to_owned(), super::bytes(&hex)))
    };
    blocks.filter(|block| block.starts_with("vector\n")).filter_map(example).collect()
}

#[test]
fn the_examples_of_the_page_are_vectors() {
    let examples = examples(&page());
    assert!(examples.len() >= 4);
    for (file, name, bytes) in examples {
        let vectors = super::vectors(&file);
        let vector = vectors.iter().find(|vector| vector.0 == name);
        assert_eq!(Some(&bytes), vector.map(|vector| &vector.1), "{file}: {name}");
    }
}

#[test]
fn the_tables_of_the_page_have_every_number() {
    let page = page();
    let rows = |name: &str| {
        let section = page.split(&format!("### {name}\n")).nth(1).unwrap().split("\n#").next();
        let rows = section.unwrap().lines().filter_map(|line| {
            let mut cells = line.split('|').map(str::trim);
            let number: usize = cells.nth(1)?.parse().ok()?;
            Some((number, cells.next()?.trim_matches('`').to_owned()))
        });
        rows.collect::<Vec<_>>()
    };
    let named = |names: &[&str]| -> Vec<_> {
        names.iter().map(|name| (*name).to_owned()).enumerate().collect()
    };
    assert_eq!(rows("Buttons of a pad"), named(&button::NAMES));
    assert_eq!(rows("Tools"), named(&pen::TOOLS));
    assert_eq!(rows("Buttons of a wheel or stick"), named(&joystick::BUTTONS));
    assert_eq!(rows("Axes of a wheel or stick"), named(&joystick::AXES));
}

#[test]
fn the_limits_of_the_page_are_those_of_the_code() {
    let page = page();
    for limit in [
        format!("| a datagram | {MAX_DATAGRAM} bytes |"),
        format!("| slots | {MAX_SLOTS} |"),
        format!("| edges in a log | {MAX_EDGES} |"),
        format!("| fingers in a frame | {MAX_CONTACTS} |"),
        format!("| a message | {} bytes |", control::MAX_MESSAGE),
        format!("| heartbeat | {} ms |", HEARTBEAT.as_millis()),
        format!("| dead-man | {} ms or four round trips |", DEAD_MAN.as_millis()),
    ] {
        assert!(page.contains(&limit), "{limit}");
    }
}
