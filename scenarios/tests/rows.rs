//! Every scenario has a name of its own. Every row of the failure catalogue has a scenario that
//! shows it, but for those of a committed list, which must be true both ways.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use scenarios::case::Case;

/// Rows of the catalogue.
const ROWS: std::ops::RangeInclusive<u32> = 1..=133;
/// The rows that no scenario shows yet, a number a line and what it waits for.
const MISSING: &str = include_str!("../catalog/missing.txt");

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            found.push(path);
        }
    }
}

fn catalog() -> Vec<PathBuf> {
    let mut found = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("catalog"), &mut found);
    found.sort();
    found
}

fn shown() -> BTreeMap<u32, Vec<String>> {
    let mut shown: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for file in catalog() {
        let case = Case::read(&file).unwrap();
        for row in case.shows {
            shown.entry(row).or_default().push(case.name.clone());
        }
    }
    shown
}

fn missing() -> BTreeSet<u32> {
    let lines = MISSING.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    lines.map(|line| line.split_whitespace().next().unwrap().parse().unwrap()).collect()
}

#[test]
fn the_catalogue_has_every_row_once_and_in_order() {
    let parts = scenarios::rows::parts().unwrap();
    let rows: Vec<u32> = parts.iter().flat_map(|part| &part.rows).map(|row| row.row).collect();
    assert_eq!(rows, ROWS.collect::<Vec<_>>());
}

#[test]
fn every_row_is_shown_or_known_to_be_missing() {
    let (shown, missing) = (shown(), missing());
    for row in ROWS {
        let names = shown.get(&row).map_or_else(|| "-".into(), |names| names.join(", "));
        println!("{row:>4}  {names}");
    }
    println!("{} of {} rows are shown", shown.len(), ROWS.count());
    let unknown: Vec<_> = shown.keys().filter(|row| !ROWS.contains(row)).collect();
    assert!(unknown.is_empty(), "there are no such rows: {unknown:?}");
    let lost: Vec<_> =
        ROWS.filter(|row| !shown.contains_key(row) && !missing.contains(row)).collect();
    assert!(lost.is_empty(), "no scenario shows rows {lost:?}: write one with `shows: [row]`");
    let stale: Vec<_> = missing.iter().filter(|row| shown.contains_key(row)).collect();
    assert!(stale.is_empty(), "rows {stale:?} are shown now: take them out of missing.txt");
}

#[test]
fn no_two_scenarios_have_the_same_name() {
    let mut named: BTreeMap<_, Vec<PathBuf>> = BTreeMap::new();
    for file in catalog() {
        // That the name in the file is the same, the language demands.
        named.entry(file.file_stem().unwrap().to_owned()).or_default().push(file);
    }
    named.retain(|_, files| files.len() > 1);
    assert!(named.is_empty(), "put what tells them apart into their names: {named:#?}");
}
