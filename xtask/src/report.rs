//! What nextest reports about a run: which tests ran, and which of them skipped.
//!
//! The report is nextest's JUnit file, always of the same shape, so a few string searches read it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

/// One run of nextest.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Every test that ran, and what it printed behind `SKIP(` if it did.
    tests: BTreeMap<Test, Option<String>>,
    /// Those that failed, and passed when they were run again.
    flaky: Vec<String>,
}

/// A test's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Test {
    /// Package and test binary, in nextest's notation: `vinput::kernel`.
    pub(crate) binary: String,
    /// The test's path in its binary.
    pub(crate) name: String,
}

impl Report {
    /// Reads nextest's JUnit file.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path);
        Ok(Self::parse(&text.with_context(|| format!("reading nextest's {}", path.display()))?))
    }

    fn parse(xml: &str) -> Self {
        let (mut tests, mut flaky) = (BTreeMap::new(), Vec::new());
        // What the tests printed is escaped, so a `<` is always nextest's own.
        for case in xml.split("<testcase ").skip(1) {
            let case = case.split("</testcase>").next().unwrap_or(case);
            let (Some(binary), Some(name)) =
                (attribute(case, "classname"), attribute(case, "name"))
            else {
                continue;
            };
            let skip = case.lines().find_map(|line| Some(line.split_once("SKIP(")?.1));
            let reason = skip.map(|rest| rest.split_once(')').map_or(rest, |(reason, _)| reason));
            if case.contains("<flakyFailure") || case.contains("<flakyError") {
                flaky.push(format!("{binary} {name}"));
            }
            tests.insert(Test { binary, name }, reason.map(str::to_owned));
        }
        Self { tests, flaky }
    }

    /// This run and another one.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.tests.extend(other.tests);
        self.flaky.extend(other.flaky);
        self
    }

    /// How many tests ran, how many of them skipped, and which passed only when they were run again.
    pub(crate) fn summary(&self) -> String {
        let counts = format!("{} run, {} skipped", self.tests.len(), self.skipped().count());
        match &self.flaky[..] {
            [] => counts,
            flaky => format!("{counts}, FLAKY: {}", flaky.join(", ")),
        }
    }

    /// The tests that skipped, and why.
    pub(crate) fn skipped(&self) -> impl Iterator<Item = (&Test, &str)> {
        self.tests.iter().filter_map(|(test, reason)| Some((test, reason.as_deref()?)))
    }

    /// Whether `test` ran, and to its end.
    pub(crate) fn covers(&self, test: &Test) -> bool {
        self.tests.get(test).is_some_and(Option::is_none)
    }
}

/// The value of an attribute in a tag's text. Names of Rust tests need no unescaping.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let tag = tag.split('>').next()?;
    let value = tag.split_once(&format!(" {name}=\"")).or_else(|| {
        // The first attribute has no space before it here.
        tag.split_once(&format!("{name}=\"")).filter(|(before, _)| before.is_empty())
    });
    Some(value?.1.split('"').next()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Report, Test};

    const XML: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="hotseat" tests="3" failures="1" errors="0">
    <testsuite name="udev-forge::netns" tests="2" disabled="0" errors="0" failures="0">
        <testcase name="a::b" classname="udev-forge::netns" timestamp="2026" time="0.1">
            <system-out>a &lt;testcase name=&quot;x&quot; &lt;flakyFailure</system-out>
            <system-err>SKIP(not root)
</system-err>
        </testcase>
        <testcase name="c" classname="udev-forge::netns" timestamp="2026" time="0.1"/>
    </testsuite>
    <testsuite name="e" tests="1" disabled="0" errors="0" failures="1">
        <testcase name="d" classname="e" time="0.1"><failure message="no"/></testcase>
    </testsuite>
</testsuites>"#;

    #[test]
    fn a_skipped_test_is_found_with_its_reason() {
        let report = Report::parse(XML);
        assert_eq!(report.summary(), "3 run, 1 skipped");
        let skipped: Vec<_> =
            report.skipped().map(|(test, why)| (test.name.as_str(), why)).collect();
        assert_eq!(skipped, [("a::b", "not root")]);
    }

    #[test]
    fn a_test_that_passed_only_the_second_time_is_named() {
        let again = r#"<testcase name="c" classname="udev-forge::netns" time="0.1">
            <flakyFailure timestamp="2026" time="0.1" message="no" type="test failure"/></testcase>"#;
        let report = Report::parse(XML).and(Report::parse(again));
        assert_eq!(report.summary(), "3 run, 1 skipped, FLAKY: udev-forge::netns c");
    }

    #[test]
    fn a_skipped_test_is_not_covered() {
        let report = Report::parse(XML);
        let covers = |binary: &str, name: &str| {
            report.covers(&Test { binary: binary.to_owned(), name: name.to_owned() })
        };
        assert!(covers("udev-forge::netns", "c"));
        assert!(!covers("udev-forge::netns", "a::b"));
        assert!(!covers("udev-forge::netns", "x"));
    }
}
