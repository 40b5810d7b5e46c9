//! Building and finding the machine's image: `target/vm/RELEASE-HASH/{kernel,initrd,disk,about}`.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use super::recipe::{Recipe, Release};
use super::scratch::{Scratch, open_lock};
use super::{Settings, folder, run};
use crate::tools::{self, Need};

/// A built image.
pub(super) struct Image {
    folder: PathBuf,
}

impl Image {
    pub(super) fn kernel(&self) -> PathBuf {
        self.folder.join("kernel")
    }

    pub(super) fn initrd(&self) -> PathBuf {
        self.folder.join("initrd")
    }

    pub(super) fn disk(&self) -> PathBuf {
        self.folder.join("disk")
    }

    /// Where the image is and which versions are in it.
    pub(super) fn about(&self) -> String {
        let about = fs::read_to_string(self.folder.join("about")).unwrap_or_default();
        format!("{}\n{}", self.folder.display(), about.trim_end())
    }
}

const TO_RUN: Need = Need {
    what: "qemu-system-x86_64",
    package: "qemu-system-x86",
    why: "emulates the test machine",
};

const TO_BUILD: [Need; 4] = [
    Need { what: "mmdebstrap", package: "mmdebstrap", why: "installs Debian into a folder" },
    Need { what: "gpg", package: "gpg", why: "lets mmdebstrap find the key of Debian's packages" },
    Need { what: "mke2fs", package: "e2fsprogs", why: "makes a disk of that folder" },
    Need {
        what: "/usr/share/keyrings/debian-archive-keyring.gpg",
        package: "debian-archive-keyring",
        why: "tells Debian's packages from forged ones",
    },
];

const TO_BUILD_WITHOUT_ROOT: [Need; 2] = [
    Need { what: "newuidmap", package: "uidmap", why: "lets mmdebstrap work without root" },
    Need { what: "fakeroot", package: "fakeroot", why: "keeps the files' owners without root" },
];

/// How many seconds the provisioning script may take: a few minutes, and many where test machines run beside it.
const PROVISION: u64 = 3600;

/// The image of a machine, built if there is none for the present recipe, or if it has to be fresh.
pub(super) fn ensure(settings: &Settings) -> Result<Image> {
    let &Settings { release, fresh, processors, .. } = settings;
    if cfg!(not(target_arch = "x86_64")) {
        bail!("the test machine is an amd64 one, and runs what this machine compiles");
    }
    tools::need(&[TO_RUN])?;
    let recipe = Recipe::new(release);
    let image = Image { folder: folder()?.join(recipe.name()) };
    if image.folder.is_dir() && !fresh {
        return Ok(image);
    }
    need_to_build()?;
    let _lock = lock()?;
    // Perhaps the one who had the lock has built it.
    if !image.folder.is_dir() || fresh {
        build(release, &recipe, &image.folder, processors)?;
    }
    Ok(image)
}

fn need_to_build() -> Result<()> {
    tools::need(&TO_BUILD)?;
    if !tools::is_root() {
        tools::need(&TO_BUILD_WITHOUT_ROOT)?;
    }
    Ok(())
}

/// Builds those images of `releases` that there are none of, one after another, while the caller does something else: whoever
/// needs one waits for it in [`ensure`], and tries it again if that failed. What it takes on this machine is installed before
/// this returns: two cannot do that at once.
pub(crate) fn build_ahead(mut releases: Vec<Release>) -> Result<()> {
    releases.dedup();
    let folder = folder()?;
    releases.retain(|&release| !folder.join(Recipe::new(release).name()).is_dir());
    if !releases.is_empty() {
        tools::need(&[TO_RUN])?;
        need_to_build()?;
    }
    // What it starts ends with it, and it with this process.
    thread::spawn(move || {
        for release in releases {
            let settings = Settings { release, ..Settings::default() }.beside_another();
            if let Err(error) = ensure(&settings) {
                eprintln!("vm: {error:#}");
            }
        }
    });
    Ok(())
}

/// Held while an image is built; given back by the kernel when this process ends.
fn lock() -> Result<File> {
    let file = open_lock(&folder()?.join("build.lock"))?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::WouldBlock) => {
            eprintln!("vm: waiting until another image is built")
        }
        Err(TryLockError::Error(error)) => return Err(error).context("locking the images"),
    }
    file.lock().context("locking the images")?;
    Ok(file)
}

fn build(release: Release, recipe: &Recipe, destination: &Path, processors: u32) -> Result<()> {
    let started = Instant::now();
    let scratch = Scratch::new("unfinished")?;
    let unfinished = scratch.path();
    eprintln!("vm: building the {} image, once; this takes some minutes", release.name());

    let root = timed("root file systems", || install(recipe, unfinished))?;
    let disk = timed("disk", || make_disk(recipe, unfinished))?;
    let provision = if recipe.has_consumers() {
        timed("provision", || provision(release, unfinished, processors))?
    } else {
        "nothing to provision".to_owned()
    };

    for tar in ["machine.tar", "consumers.tar"] {
        remove(&unfinished.join(tar))?;
    }
    put_in_place(release, unfinished, destination)?;
    let total = started.elapsed().as_secs();
    eprintln!("vm: {} image built: {root}, {disk}, {provision}; {total} s", release.name());
    Ok(())
}

fn timed(name: &str, phase: impl FnOnce() -> Result<()>) -> Result<String> {
    eprintln!("vm: {name} ...");
    let started = Instant::now();
    phase().with_context(|| format!("building the image: {name}"))?;
    Ok(format!("{name} {} s", started.elapsed().as_secs()))
}

/// Debian for the machine and Debian for the consumers, both at once.
fn install(recipe: &Recipe, unfinished: &Path) -> Result<()> {
    let mut children =
        vec![(mmdebstrap(recipe, &recipe.machine_arguments(), unfinished, "machine")?, "machine")];
    if recipe.has_consumers() {
        let arguments = recipe.consumers_arguments();
        children.push((mmdebstrap(recipe, &arguments, unfinished, "consumers")?, "consumers"));
    }
    // All are waited for, so that none is left behind when another fails.
    let ended: Vec<_> =
        children.into_iter().map(|(mut child, name)| (child.wait(), name)).collect();
    for (child, name) in ended {
        let status = child.context("waiting for mmdebstrap")?;
        if !status.success() {
            let log = unfinished.join(name).with_extension("log");
            let text = fs::read_to_string(&log).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            let end = lines[lines.len().saturating_sub(30)..].join("\n  | ");
            bail!("mmdebstrap ended with {status} for {name}:\n  | {end}");
        }
    }
    Ok(())
}

fn mmdebstrap(
    recipe: &Recipe,
    arguments: &[String],
    unfinished: &Path,
    name: &str,
) -> Result<Child> {
    let output = unfinished.join(name);
    let log = File::create(output.with_extension("log")).context("creating mmdebstrap's log")?;
    let mut command = tools::bound_to_us("TERM", "mmdebstrap");
    command.args(arguments).arg(output.with_extension("tar")).args(recipe.sources());
    // The machine gets a RAM disk of our own: the kernel's package shall not make one.
    command.env("INITRD", "No");
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    command.spawn().context("starting mmdebstrap")
}

fn make_disk(recipe: &Recipe, unfinished: &Path) -> Result<()> {
    let mut command = if tools::is_root() {
        Command::new("sh")
    } else {
        let mut command = Command::new("fakeroot");
        command.args(["--", "sh"]);
        command
    };
    let script = recipe.make_disk();
    command.args(["-c", &script, "sh", "machine.tar", "consumers.tar"]).current_dir(unfinished);
    // mke2fs is not on the PATH of everybody.
    command.env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default()));
    tools::run(&mut command)
}

/// Boots the machine once with its disk writable, to do what needs a running kernel.
fn provision(release: Release, unfinished: &Path, processors: u32) -> Result<()> {
    let image = Image { folder: unfinished.to_path_buf() };
    let settings = Settings { release, timeout: PROVISION, processors, ..Settings::default() };
    let mut command = vec!["/usr/lib/hotseat-vm/provision".into()];
    for file in ["consumers.tar", "about"] {
        command.push(super::guest_path(&unfinished.join(file))?.into_os_string());
    }
    match run::command(&image, &settings, run::Disk::Keep, &command)? {
        run::Outcome::Exited(0) => Ok(()),
        run::Outcome::Exited(status) => bail!("the provisioning script ended with {status}"),
        run::Outcome::TimedOut => bail!("the provisioning script did not end"),
    }
}

/// Moves the finished image to where it is looked for and removes the release's other images.
fn put_in_place(release: Release, unfinished: &Path, destination: &Path) -> Result<()> {
    remove(destination)?;
    fs::rename(unfinished, destination)
        .with_context(|| format!("moving the image to {}", destination.display()))?;
    let prefix = format!("{}-", release.name());
    for entry in fs::read_dir(folder()?).context("looking for old images")? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(&prefix) && path != destination {
            remove(&path)?;
        }
    }
    Ok(())
}

fn remove(path: &Path) -> Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    removed.with_context(|| format!("removing {}", path.display()))
}
