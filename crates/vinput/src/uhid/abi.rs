//! The records of `/dev/uhid` as bytes (include/uapi/linux/uhid.h).
//!
//! The kernel takes records that are cut off after their last used byte and fills up with zeroes, so only
//! what is used is written: a report of 64 bytes is a write of 70, not of 4380.

/// `sizeof(struct uhid_event)`.
pub(crate) const EVENT_SIZE: usize = 4380;
/// `HID_MAX_DESCRIPTOR_SIZE`: most bytes in a report descriptor.
#[cfg(test)]
pub(crate) const DESCRIPTOR_MAX: usize = 4096;
/// `UHID_DATA_MAX`: most bytes in a report.
const DATA_MAX: usize = 4096;

const DESTROY: u32 = 1;
const START: u32 = 2;
const STOP: u32 = 3;
const OUTPUT: u32 = 6;
const GET_REPORT: u32 = 9;
const GET_REPORT_REPLY: u32 = 10;
const CREATE2: u32 = 11;
const INPUT2: u32 = 12;
const SET_REPORT: u32 = 13;
const SET_REPORT_REPLY: u32 = 14;

// Offsets in `struct uhid_event`; the payload comes after the type.
const CREATE_NAME: usize = 4;
const CREATE_PHYS: usize = 132;
const CREATE_UNIQ: usize = 196;
const CREATE_RD_SIZE: usize = 260;
const CREATE_BUS: usize = 262;
const CREATE_VENDOR: usize = 264;
const CREATE_PRODUCT: usize = 268;
const CREATE_VERSION: usize = 272;
const CREATE_RD_DATA: usize = 280;
const INPUT_SIZE: usize = 4;
const INPUT_DATA: usize = 6;
const OUTPUT_DATA: usize = 4;
const OUTPUT_SIZE: usize = 4100;
const REQUEST_ID: usize = 4;
const REQUEST_NUMBER: usize = 8;
const REQUEST_KIND: usize = 9;
const REQUEST_SIZE: usize = 10;
const SET_REPORT_DATA: usize = 12;
const REPLY_ERR: usize = 8;
const REPLY_SIZE: usize = 10;
const REPLY_DATA: usize = 12;

/// `UHID_DESTROY`, cut off after its type: it has nothing else.
pub(crate) fn destroy() -> [u8; 4] {
    DESTROY.to_ne_bytes()
}

/// Most bytes of `phys` and of `uniq`: their fields less the NUL.
pub(crate) const PHYS_MAX: usize = 63;

/// Most bytes of a report that we send: `DS_INPUT_REPORT_BT_SIZE` in drivers/hid/hid-playstation.c.
pub(crate) const REPORT_MAX: usize = 78;

/// A record from the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event<'a> {
    /// A driver starts to use the device.
    Start,
    /// The driver let go of it.
    Stop,
    /// An output report, its number first.
    Output(&'a [u8]),
    /// Somebody waits for a report.
    GetReport {
        /// To be repeated in the answer.
        id: u32,
        /// The report's number.
        number: u8,
        /// `enum uhid_report_type`.
        kind: u8,
    },
    /// Somebody waits until a report has been taken.
    SetReport {
        /// To be repeated in the answer.
        id: u32,
        /// The report's number.
        number: u8,
        /// `enum uhid_report_type`.
        kind: u8,
        /// The report, its number first.
        data: &'a [u8],
    },
    /// Opened, closed, or of a kind that is not known here.
    Other,
}

impl<'a> Event<'a> {
    /// Decodes a record; any bytes are one.
    pub(crate) fn decode(record: &'a [u8; EVENT_SIZE]) -> Self {
        match u32_at(record, 0) {
            START => Self::Start,
            STOP => Self::Stop,
            OUTPUT => Self::Output(data_at(record, OUTPUT_DATA, OUTPUT_SIZE)),
            GET_REPORT => Self::GetReport {
                id: u32_at(record, REQUEST_ID),
                number: record[REQUEST_NUMBER],
                kind: record[REQUEST_KIND],
            },
            SET_REPORT => Self::SetReport {
                id: u32_at(record, REQUEST_ID),
                number: record[REQUEST_NUMBER],
                kind: record[REQUEST_KIND],
                data: data_at(record, SET_REPORT_DATA, REQUEST_SIZE),
            },
            _ => Self::Other,
        }
    }
}

fn u32_at(record: &[u8; EVENT_SIZE], at: usize) -> u32 {
    u32::from_ne_bytes([record[at], record[at + 1], record[at + 2], record[at + 3]])
}

fn data_at(record: &[u8; EVENT_SIZE], at: usize, size_at: usize) -> &[u8] {
    let size = u16::from_ne_bytes([record[size_at], record[size_at + 1]]);
    &record[at..at + usize::from(size).min(DATA_MAX)]
}

/// What `UHID_CREATE2` says of a device.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Create<'a> {
    pub(crate) name: &'a str,
    pub(crate) phys: &'a str,
    pub(crate) uniq: &'a str,
    pub(crate) bus: u16,
    pub(crate) vendor: u16,
    pub(crate) product: u16,
    pub(crate) version: u16,
    pub(crate) descriptor: &'a [u8],
}

impl Create<'_> {
    /// The record. Texts that are too long are cut off.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut record = vec![0; CREATE_RD_DATA];
        let rd_size = u16::try_from(self.descriptor.len()).unwrap_or(u16::MAX);
        put(&mut record, 0, &CREATE2.to_ne_bytes());
        put_text(&mut record[CREATE_NAME..CREATE_PHYS], self.name);
        put_text(&mut record[CREATE_PHYS..CREATE_UNIQ], self.phys);
        put_text(&mut record[CREATE_UNIQ..CREATE_RD_SIZE], self.uniq);
        put(&mut record, CREATE_RD_SIZE, &rd_size.to_ne_bytes());
        put(&mut record, CREATE_BUS, &self.bus.to_ne_bytes());
        put(&mut record, CREATE_VENDOR, &u32::from(self.vendor).to_ne_bytes());
        put(&mut record, CREATE_PRODUCT, &u32::from(self.product).to_ne_bytes());
        put(&mut record, CREATE_VERSION, &u32::from(self.version).to_ne_bytes());
        record.extend_from_slice(self.descriptor);
        record
    }
}

/// A record that carries a report to the kernel, cut off after it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    bytes: [u8; REPLY_DATA + REPORT_MAX],
    length: usize,
}

impl Record {
    /// `UHID_INPUT2`. A report longer than [`REPORT_MAX`] is cut off.
    pub(crate) fn input(report: &[u8]) -> Self {
        let mut record = Self::with_report(INPUT2, INPUT_SIZE, INPUT_DATA, report);
        record.length = INPUT_DATA + report.len().min(REPORT_MAX);
        record
    }

    /// `UHID_GET_REPORT_REPLY`: the report, or that there is none of that number.
    pub(crate) fn get_report_reply(id: u32, report: Option<&[u8]>) -> Self {
        let data = report.unwrap_or_default();
        let mut record = Self::with_report(GET_REPORT_REPLY, REPLY_SIZE, REPLY_DATA, data);
        put(&mut record.bytes, REQUEST_ID, &id.to_ne_bytes());
        put(&mut record.bytes, REPLY_ERR, &errno(report.is_some()).to_ne_bytes());
        record
    }

    /// `UHID_SET_REPORT_REPLY`: whether the report was taken.
    pub(crate) fn set_report_reply(id: u32, taken: bool) -> Self {
        let mut record = Self::with_report(SET_REPORT_REPLY, REPLY_SIZE, REPLY_DATA, &[]);
        record.length = REPLY_SIZE;
        put(&mut record.bytes, REQUEST_ID, &id.to_ne_bytes());
        put(&mut record.bytes, REPLY_ERR, &errno(taken).to_ne_bytes());
        record
    }

    fn with_report(kind: u32, size_at: usize, data_at: usize, report: &[u8]) -> Self {
        let report = &report[..report.len().min(REPORT_MAX)];
        let size = u16::try_from(report.len()).unwrap_or(u16::MAX);
        let mut bytes = [0; REPLY_DATA + REPORT_MAX];
        put(&mut bytes, 0, &kind.to_ne_bytes());
        put(&mut bytes, size_at, &size.to_ne_bytes());
        put(&mut bytes, data_at, report);
        Self { bytes, length: data_at + report.len() }
    }

    /// The bytes to write.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// `UHID_INPUT2` of a report of any size, which may be changed in place from its end.
pub(crate) fn input_record(report: &[u8]) -> Vec<u8> {
    record(INPUT2, INPUT_SIZE, INPUT_DATA, report)
}

/// `UHID_GET_REPORT_REPLY` of any size: the report, or that there is none of that number.
pub(crate) fn get_report_reply(id: u32, report: Option<&[u8]>) -> Vec<u8> {
    let mut record = record(GET_REPORT_REPLY, REPLY_SIZE, REPLY_DATA, report.unwrap_or_default());
    put(&mut record, REQUEST_ID, &id.to_ne_bytes());
    put(&mut record, REPLY_ERR, &errno(report.is_some()).to_ne_bytes());
    record
}

/// `UHID_SET_REPORT_REPLY`: whether the report was taken.
pub(crate) fn set_report_reply(id: u32, taken: bool) -> Vec<u8> {
    Record::set_report_reply(id, taken).as_bytes().to_owned()
}

/// A record of one kind with a report, of which as much as fits is used.
fn record(kind: u32, size_at: usize, data_at: usize, report: &[u8]) -> Vec<u8> {
    let report = &report[..report.len().min(DATA_MAX)];
    let mut record = vec![0; data_at];
    put(&mut record, 0, &kind.to_ne_bytes());
    let size = u16::try_from(report.len()).unwrap_or(u16::MAX);
    put(&mut record, size_at, &size.to_ne_bytes());
    record.extend_from_slice(report);
    record
}

/// The kernel only asks whether it is 0, and makes `EIO` of everything else.
fn errno(fine: bool) -> u16 {
    const EIO: u16 = 5;
    if fine { 0 } else { EIO }
}

fn put(record: &mut [u8], at: usize, bytes: &[u8]) {
    record[at..at + bytes.len()].copy_from_slice(bytes);
}

/// Text and a NUL.
fn put_text(field: &mut [u8], text: &str) {
    let length = text.len().min(field.len() - 1);
    field[..length].copy_from_slice(&text.as_bytes()[..length]);
}

#[cfg(test)]
mod tests;
