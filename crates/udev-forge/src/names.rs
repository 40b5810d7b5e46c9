//! The rules for names: files, device nodes, devpaths.

/// Whether `name` can name a file in a directory (systemd: `filename_is_valid`).
pub(crate) fn is_file_name(name: &str) -> bool {
    (1..=255).contains(&name.len())
        && name != "."
        && name != ".."
        && !name.contains(['/', '\0', '\n', '\r'])
}

/// Whether `path` is absolute and every component of it is a proper name: no `.`, `..` or `//`.
pub(crate) fn is_clean_path(path: &str) -> bool {
    path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(is_file_name))
}

/// The node's absolute path, from a `DEVNAME` that may be relative to /dev; `None` when it would lie
/// elsewhere (systemd ≥ 254: `mangle_devname` in src/libsystemd/sd-device/sd-device.c).
pub(crate) fn dev_path(devname: &str) -> Option<String> {
    let path =
        if devname.starts_with('/') { devname.to_owned() } else { format!("/dev/{devname}") };
    (path.starts_with("/dev/") && is_clean_path(&path)).then_some(path)
}

/// The relative path `link` without `//` and `/./`; `None` when it has `..`, or nothing is left (systemd ≥ 254:
/// `mangle_devname` in src/libsystemd/sd-device/sd-device.c).
pub(crate) fn simplified(link: &str) -> Option<String> {
    let names = link.split('/').filter(|name| !matches!(*name, "" | "."));
    let path = names.collect::<Vec<_>>().join("/");
    is_clean_path(&format!("/{path}")).then_some(path)
}

/// The value of a property in the kernel's own events, where `DEVNAME` is relative to /dev.
pub(crate) fn kernel_value<'a>(key: &str, value: &'a str) -> &'a str {
    match value.strip_prefix("/dev/") {
        Some(relative) if key == "DEVNAME" => relative,
        _ => value,
    }
}
