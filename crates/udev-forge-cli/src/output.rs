//! What the command prints: text for people, JSON for programs.

use std::io::{self, Write as _};

use anyhow::{Error, Result};
use serde::{Serialize, Serializer};
use udev_forge::{Message, MonitorError, Properties, Received, Record};

pub(crate) fn error(error: &Error, hint: Option<&str>) {
    // Nothing can be done about a standard error that is gone.
    let mut stderr = io::stderr();
    let _ = writeln!(stderr, "error: {}", printable(&format!("{error:#}")));
    if let Some(hint) = hint {
        let _ = writeln!(stderr, "hint: {hint}");
    }
}

/// On standard error: it is no message.
pub(crate) fn listening() {
    let _ = writeln!(io::stderr(), "listening");
}

pub(crate) fn sent(message: &Message) -> Result<()> {
    let size = message.encode().len();
    writeln!(io::stdout(), "sent {}, {size} bytes", title(message))?;
    Ok(())
}

/// One message, or why it is none.
pub(crate) fn received(result: &Result<Received, MonitorError>, as_json: bool) -> Result<()> {
    let failure = result.as_ref().err().map(chain);
    let received = result.as_ref().ok();
    if as_json {
        return json_line(&ReceivedView {
            ok: received.is_some(),
            error: failure,
            uid: received.map(|received| received.uid),
            gid: received.map(|received| received.gid),
            message: received.map(|received| MessageView::of(&received.message)),
        });
    }
    let mut out = io::stdout().lock();
    match (received, failure) {
        (Some(Received { message, uid, gid, .. }), _) => {
            writeln!(out, "{}", title(message))?;
            writeln!(out, "  header ok: {}; from uid {uid}, gid {gid}", header(message))?;
            properties(&mut out, message.properties())?;
        }
        (None, failure) => {
            writeln!(out, "BAD: {}", printable(&failure.unwrap_or_default()))?;
        }
    }
    writeln!(out)?;
    Ok(())
}

/// A device's message, and its record if it has one.
pub(crate) fn forged(message: &Message, record: Option<&Record>, as_json: bool) -> Result<()> {
    if as_json {
        let (message, record) = (MessageView::of(message), record.map(RecordView::of));
        return json(&ForgedView { message, record });
    }
    let mut out = io::stdout().lock();
    writeln!(out, "message: {}", title(message))?;
    writeln!(out, "  header: {}", header(message))?;
    properties(&mut out, message.properties())?;
    match record {
        Some(record) => record_text(&mut out, record),
        None => Ok(()),
    }
}

pub(crate) fn record(record: &Record, as_json: bool) -> Result<()> {
    if as_json { json(&RecordView::of(record)) } else { record_text(&mut io::stdout(), record) }
}

fn record_text(out: &mut impl io::Write, record: &Record) -> Result<()> {
    let text = record.text();
    // Only a device with a node has a record that says nothing.
    if text.is_empty() && record.file_name().starts_with('+') {
        writeln!(out, "no record")?;
        return Ok(());
    }
    writeln!(out, "record: /run/udev/data/{}, {} bytes", record.file_name(), text.len())?;
    for line in text.lines() {
        writeln!(out, "  {}", printable(line))?;
    }
    for tag in record.tags() {
        writeln!(out, "tag: /run/udev/tags/{tag}/{}", record.file_name())?;
    }
    Ok(())
}

fn properties(out: &mut impl io::Write, properties: &Properties) -> Result<()> {
    for (key, value) in properties.iter() {
        writeln!(out, "  {}={}", printable(key), printable(value))?;
    }
    Ok(())
}

fn title(message: &Message) -> String {
    let (devpath, subsystem) = (message.devpath(), message.subsystem());
    format!("{} {} ({})", message.action(), printable(devpath), printable(subsystem))
}

fn header(message: &Message) -> String {
    let Header { subsystem_hash, devtype_hash, tag_bloom } = Header::of(&message.encode());
    format!("subsystem {subsystem_hash}, devtype {devtype_hash}, tags {tag_bloom}")
}

/// Text without what would move a terminal's cursor: names come from whoever made the device.
fn printable(text: &str) -> String {
    let escaped = |c: char| {
        if c.is_control() { c.escape_default().collect() } else { c.to_string() }
    };
    text.chars().map(escaped).collect()
}

/// The error and its causes in one line.
fn chain(error: &MonitorError) -> String {
    let causes =
        std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn json(value: &impl Serialize) -> Result<()> {
    writeln!(io::stdout(), "{}", serde_json::to_string_pretty(value)?)?;
    Ok(())
}

fn json_line(value: &impl Serialize) -> Result<()> {
    writeln!(io::stdout(), "{}", serde_json::to_string(value)?)?;
    Ok(())
}

#[derive(Serialize)]
struct ReceivedView<'a> {
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<MessageView<'a>>,
}

#[derive(Serialize)]
struct ForgedView<'a> {
    message: MessageView<'a>,
    record: Option<RecordView<'a>>,
}

#[derive(Serialize)]
struct MessageView<'a> {
    action: &'static str,
    devpath: &'a str,
    subsystem: &'a str,
    seqnum: u64,
    size: usize,
    header: Header,
    #[serde(serialize_with = "in_order")]
    properties: &'a Properties,
}

impl<'a> MessageView<'a> {
    fn of(message: &'a Message) -> Self {
        let datagram = message.encode();
        Self {
            action: message.action().as_str(),
            devpath: message.devpath(),
            subsystem: message.subsystem(),
            seqnum: message.seqnum(),
            size: datagram.len(),
            header: Header::of(&datagram),
            properties: message.properties(),
        }
    }
}

/// What filters compare, in hexadecimal as in a dump of the message.
#[derive(Serialize)]
struct Header {
    subsystem_hash: String,
    devtype_hash: String,
    tag_bloom: String,
}

impl Header {
    fn of(datagram: &[u8]) -> Self {
        let hex = |from: usize, to: usize| {
            let bytes = datagram.get(from..to).unwrap_or_default();
            bytes.iter().map(|byte| format!("{byte:02x}")).collect()
        };
        Self { subsystem_hash: hex(24, 28), devtype_hash: hex(28, 32), tag_bloom: hex(32, 40) }
    }
}

#[derive(Serialize)]
struct RecordView<'a> {
    id: &'a str,
    usec_initialized: u64,
    devlinks: &'a [String],
    #[serde(serialize_with = "in_order")]
    properties: &'a Properties,
    tags: &'a [String],
    current_tags: &'a [String],
    /// The file's content.
    text: String,
}

impl<'a> RecordView<'a> {
    fn of(record: &'a Record) -> Self {
        Self {
            id: record.file_name(),
            usec_initialized: record.usec_initialized(),
            devlinks: record.devlinks(),
            properties: record.properties(),
            tags: record.tags(),
            current_tags: record.current_tags(),
            text: record.text(),
        }
    }
}

fn in_order<S: Serializer>(properties: &Properties, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(properties.iter())
}
