//! What a C compiler makes of the kernel's headers, to compare our layouts with.

use std::collections::HashMap;
use std::fs;
use std::process::Command;

/// Compiles and runs a C program that includes `header` and prints each expression; gives their values by
/// expression.
pub(crate) fn values(header: &str, expressions: &[&str]) -> HashMap<String, u64> {
    let directory = tempfile::tempdir().unwrap();
    let (source, program) = (directory.path().join("abi.c"), directory.path().join("abi"));
    let lines: String = expressions
        .iter()
        .map(|it| format!("    printf(\"%llu\\t%s\\n\", (unsigned long long)({it}), \"{it}\");\n"))
        .collect();
    let includes = format!("#include <stddef.h>\n#include <stdio.h>\n#include <{header}>\n");
    fs::write(&source, format!("{includes}int main(void) {{\n{lines}    return 0;\n}}\n")).unwrap();
    let compiled = Command::new("cc").arg(&source).arg("-o").arg(&program).output();
    let compiled = compiled.expect("this test needs a C compiler: install gcc and linux-libc-dev");
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    let printed = Command::new(&program).output().unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    let pair = |line: &str| {
        let (value, expression) = line.split_once('\t').unwrap();
        (expression.to_owned(), value.parse().unwrap())
    };
    printed.lines().map(pair).collect()
}
