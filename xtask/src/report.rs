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
    flaky: Vec<Failure>,
    failed: Vec<Failure>,
    /// How many seconds each took, and which it was: binary and name.
    took: Vec<(f64, String)>,
}

/// A test that failed.
#[derive(Debug, PartialEq, Eq)]
struct Failure {
    /// Binary and name.
    test: String,
    /// Why, and the end of what it printed, when it failed first.
    output: String,
}

/// How many lines of what a test printed are told.
const LINES: usize = 40;

/// How many of the tests that took longest are named.
const LONGEST: usize = 10;

/// The elements that say why a test failed.
const FAILURES: [&str; 4] = ["<flakyFailure ", "<flakyError ", "<failure ", "<error "];

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
        let mut all = Self::default();
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
            let test = format!("{binary} {name}");
            let took = attribute(case, "time").and_then(|seconds| seconds.parse().ok());
            all.took.extend(took.map(|seconds: f64| (seconds, test.clone())));
            let failure = || Failure { test, output: cause(case) + &printed(case) };
            match FAILURES.iter().find(|element| case.contains(**element)) {
                Some(element) if element.starts_with("<flaky") => all.flaky.push(failure()),
                Some(_) => all.failed.push(failure()),
                None => {}
            }
            all.tests.insert(Test { binary, name }, reason.map(str::to_owned));
        }
        all
    }

    /// This run and another one.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.tests.extend(other.tests);
        self.flaky.extend(other.flaky);
        self.failed.extend(other.failed);
        self.took.extend(other.took);
        self
    }

    /// What those printed that failed, also if they passed when they were run again.
    pub(crate) fn failures(&self) -> String {
        let told = |what, failures: &[Failure]| -> String {
            let told =
                failures.iter().map(|it| format!("--- {what}: {}\n{}\n", it.test, it.output));
            told.collect()
        };
        told("failed once", &self.flaky) + &told("FAILED", &self.failed)
    }

    /// How many tests ran, how many of them skipped, which passed only when they were run again, and which failed.
    pub(crate) fn summary(&self) -> String {
        let mut told = format!("{} run, {} skipped", self.tests.len(), self.skipped().count());
        for (what, failures) in [("FLAKY", &self.flaky), ("FAILED", &self.failed)] {
            let names: Vec<_> = failures.iter().map(|failure| failure.test.as_str()).collect();
            if !names.is_empty() {
                told += &format!(", {what}: {}", names.join(", "));
            }
        }
        told
    }

    /// Which tests took longest, a line for each.
    pub(crate) fn longest(&self) -> String {
        let mut took: Vec<_> = self.took.iter().collect();
        took.sort_unstable_by(|(one, _), (other, _)| other.total_cmp(one));
        let told = took.iter().take(LONGEST);
        told.map(|(seconds, test)| format!("{seconds:>5.0} s  {test}\n")).collect()
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

/// How a test ended, and what it said when it panicked.
fn cause(case: &str) -> String {
    let element = FAILURES.iter().find_map(|element| Some(case.split_once(element)?.1));
    let element = element.unwrap_or_default();
    let text = element.split_once('>').map_or("", |(_, text)| text);
    let text = text.split('<').next().unwrap_or_default();
    let panic = text.split("stack backtrace:").next().unwrap_or_default().trim();
    format!("{}\n{}\n", attribute(element, "type").unwrap_or_default(), unescaped(panic))
}

/// The last lines of what a test printed, without backtraces: of its first run, if there were more.
fn printed(case: &str) -> String {
    let text = ["system-out", "system-err"].iter().filter_map(|tag| {
        let (_, rest) = case.split_once(&format!("<{tag}>"))?;
        Some(rest.split(&format!("</{tag}>")).next().unwrap_or(rest))
    });
    let text: String = text.collect();
    let is_told = |line: &&str| !line.is_empty() && !is_of_backtrace(line);
    let lines: Vec<_> = text.lines().filter(is_told).collect();
    unescaped(&lines[lines.len().saturating_sub(LINES)..].join("\n"))
}

/// `   4: function` or `      at file:line`.
fn is_of_backtrace(line: &str) -> bool {
    let line = line.trim_start();
    let number = line.split_once(": ").is_some_and(|(number, _)| number.parse::<u32>().is_ok());
    number || line.starts_with("at ")
}

fn unescaped(text: &str) -> String {
    let entities =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    let all = |text: String, (entity, character): (&str, &str)| text.replace(entity, character);
    entities.into_iter().fold(text.to_owned(), all)
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
        assert_eq!(report.summary(), "3 run, 1 skipped, FAILED: e d");
        let skipped: Vec<_> =
            report.skipped().map(|(test, why)| (test.name.as_str(), why)).collect();
        assert_eq!(skipped, [("a::b", "not root")]);
    }

    #[test]
    fn a_test_that_passed_only_the_second_time_is_named() {
        let again = r#"<testcase name="c" classname="udev-forge::netns" time="0.1">
            <flakyFailure timestamp="2026" time="0.1" message="no" type="test failure">panicked at a.rs:
1 &lt; 2
stack backtrace:
   0: a::b
                <system-out>the first
time</system-out><system-err>: it
   0: a::b
       at a.rs
&lt;failed&gt;</system-err></flakyFailure>
            <system-out>the second time</system-out></testcase>"#;
        let report = Report::parse(XML).and(Report::parse(again));
        let told = "3 run, 1 skipped, FLAKY: udev-forge::netns c, FAILED: e d";
        assert_eq!(report.summary(), told);
        let told = "--- failed once: udev-forge::netns c\ntest failure\npanicked at a.rs:\n1 < 2\n\
                    the first\ntime: it\n<failed>\n--- FAILED: e d\n\n\n\n";
        assert_eq!(report.failures(), told);
    }

    #[test]
    fn the_longest_test_is_named_first() {
        let test = |name, seconds| {
            format!(r#"<testcase name="{name}" classname="e" time="{seconds}"></testcase>"#)
        };
        let tests: String =
            (0..30).map(|number| test(format!("t{number}"), f64::from(number * 7 % 30))).collect();
        let longest = Report::parse(&tests).longest();
        assert!(longest.starts_with("   29 s  e t17\n   28 s  e t4\n"), "{longest}");
        assert_eq!(longest.lines().count(), 10);
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
