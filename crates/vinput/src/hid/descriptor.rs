//! Report descriptors: what a HID device says its reports are made of.
//!
//! The rules are those of the "Device Class Definition for Human Interface Devices" 1.11, section 6.2.2, and what
//! the kernel refuses (drivers/hid/hid-core.c) is refused here, with the byte at which it goes wrong. Every size
//! is bounded, so no descriptor costs more than a few megabytes.

use thiserror::Error;

/// Most bytes of a descriptor: `HID_MAX_DESCRIPTOR_SIZE` (include/linux/hid.h).
pub(crate) const MAX_SIZE: usize = 4096;
/// Most bytes of a report with its number: `UHID_DATA_MAX` (include/uapi/linux/uhid.h).
const MAX_REPORT: u32 = 4096;
/// Most bits of an element (`hid_parser_global`, `HID_GLOBAL_ITEM_TAG_REPORT_SIZE`).
const MAX_ELEMENT: u32 = 256;
/// Most elements; `HID_MAX_USAGES` (include/linux/hid.h), which the kernel allows to each field.
const MAX_ELEMENTS: u32 = 12288;
/// How deep globals are pushed: `HID_GLOBAL_STACK_SIZE`.
const MAX_PUSHED: usize = 4;

/// Why bytes are no report descriptor.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("byte {offset}: {message}")]
pub struct DescriptorError {
    /// Where, counted from 0.
    pub offset: usize,
    /// What is wrong there.
    pub message: String,
}

/// A report descriptor that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    bytes: Vec<u8>,
    reports: Vec<Report>,
    fields: Vec<Field>,
    applications: usize,
}

/// Which way a report goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReportKind {
    /// From the device.
    Input,
    /// To the device.
    Output,
    /// Either way, when it is asked for.
    Feature,
}

/// One report of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Which way it goes.
    pub kind: ReportKind,
    /// Its number; 0 where the device numbers none.
    pub number: u8,
    /// What it has beside its number, in bits.
    pub bits: u32,
}

/// Elements of one size, one after the other in a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    /// Index of its report.
    pub(crate) report: usize,
    /// Where its first element is, in bits after the report's number.
    pub(crate) offset: u32,
    /// Bits of an element.
    pub(crate) size: u32,
    /// How many elements.
    pub(crate) count: u32,
    /// The least logical value; if it is negative, elements are signed.
    pub(crate) min: i32,
    /// The greatest one.
    pub(crate) max: i32,
    /// Each element is one thing; if not, it selects one of the usages by its number.
    pub(crate) is_variable: bool,
    pub(crate) is_relative: bool,
    /// Ranges of usages, page in the upper half, both ends included.
    usages: Vec<(u32, u32)>,
    /// The usage of the collection of type application that it is in; 0 in none.
    pub(crate) application: u32,
}

impl Report {
    /// How many bytes it has with its number, if it has one.
    #[must_use]
    pub fn size(&self) -> usize {
        usize::from(self.number != 0) + self.bits.div_ceil(8) as usize
    }
}

impl Field {
    /// What an element is, or which usage an array's value selects; the last usage goes on (6.2.2.8).
    pub(crate) fn usage(&self, index: u32) -> Option<u32> {
        let mut left = index;
        for (first, last) in &self.usages {
            let count = last - first; // less one
            if left <= count {
                return Some(first + left);
            }
            left -= count + 1;
        }
        let last = self.usages.last().map(|(_, last)| *last);
        last.filter(|_| self.is_variable)
    }
}

impl Descriptor {
    /// Reads a descriptor.
    ///
    /// # Errors
    ///
    /// [`DescriptorError`] says at which byte it is none, and why.
    pub fn parse(bytes: &[u8]) -> Result<Self, DescriptorError> {
        let wrong = |offset, message: String| DescriptorError { offset, message };
        if bytes.is_empty() || bytes.len() > MAX_SIZE {
            let message = format!("it has {} bytes; 1 to {MAX_SIZE} are allowed", bytes.len());
            return Err(wrong(0, message));
        }
        let mut parser = Parser::default();
        let mut at = 0;
        while at < bytes.len() {
            let item = Item::read(&bytes[at..]).map_err(|message| wrong(at, message.to_owned()))?;
            parser.take(item).map_err(|message| wrong(at, message))?;
            at += item.length;
        }
        parser.finish(bytes).map_err(|message| wrong(bytes.len(), message.to_owned()))
    }

    /// The bytes it was read from.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Every report, in the order in which they are first named.
    #[must_use]
    pub fn reports(&self) -> &[Report] {
        &self.reports
    }

    /// The report of this kind and number.
    pub(crate) fn report(&self, kind: ReportKind, number: u8) -> Option<&Report> {
        self.reports.iter().find(|it| (it.kind, it.number) == (kind, number))
    }

    /// The fields of input reports that are not padding.
    pub(crate) fn inputs(&self) -> &[Field] {
        &self.fields
    }

    /// How many collections of type application there are: hid-generic makes an input device of each that has
    /// controls (`HID_QUIRK_INPUT_PER_APP`).
    pub(crate) fn applications(&self) -> usize {
        self.applications
    }
}

/// One short item (6.2.2.2).
#[derive(Clone, Copy)]
struct Item {
    kind: u8,
    tag: u8,
    unsigned: u32,
    signed: i32,
    /// Of its data: 0, 1, 2 or 4.
    size: usize,
    /// With its prefix.
    length: usize,
}

const MAIN: u8 = 0;
const GLOBAL: u8 = 1;
const LOCAL: u8 = 2;

impl Item {
    fn read(bytes: &[u8]) -> Result<Self, &'static str> {
        /// What introduces a long item (6.2.2.3); none is defined, and the kernel takes none.
        const LONG: u8 = 0xfe;
        let [prefix, rest @ ..] = bytes else { return Err("an item is missing") };
        if *prefix == LONG {
            return Err("a long item, of which none is defined");
        }
        let size = [0, 1, 2, 4][usize::from(prefix & 3)];
        let data = rest.get(..size).ok_or("the last item is cut off")?;
        let mut whole = [0; 4];
        whole[..size].copy_from_slice(data);
        let unsigned = u32::from_le_bytes(whole);
        let signed = match *data {
            [byte] => i32::from(byte.cast_signed()),
            [low, high] => i32::from(i16::from_le_bytes([low, high])),
            _ => unsigned.cast_signed(),
        };
        let (kind, tag) = (prefix >> 2 & 3, prefix >> 4);
        Ok(Self { kind, tag, unsigned, signed, size, length: 1 + size })
    }
}

/// What stays from item to item (6.2.2.7).
#[derive(Clone, Copy, Default)]
struct Globals {
    page: u32,
    min: i32,
    max: i32,
    size: u32,
    count: u32,
    number: u8,
}

/// What ends with the next main item (6.2.2.8).
#[derive(Default)]
struct Locals {
    /// Both ends of a range, and whether they have a page of their own.
    usages: Vec<(u32, u32, bool)>,
    least: Option<(u32, bool)>,
    /// Alternatives of the same control are between delimiters; the first of each counts, as in the kernel.
    in_delimiter: bool,
    branches: u32,
}

#[derive(Default)]
struct Parser {
    globals: Globals,
    pushed: Vec<Globals>,
    locals: Locals,
    /// The usage of each open collection, if it is an application.
    collections: Vec<Option<u32>>,
    applications: usize,
    reports: Vec<Report>,
    fields: Vec<Field>,
    elements: u32,
}

impl Parser {
    fn take(&mut self, item: Item) -> Result<(), String> {
        match item.kind {
            MAIN => {
                let taken = self.main(item);
                self.locals = Locals::default();
                taken
            }
            GLOBAL => self.global(item),
            LOCAL => self.local(item).map_err(str::to_owned),
            // Reserved; the kernel passes over it.
            _ => Ok(()),
        }
    }

    fn main(&mut self, item: Item) -> Result<(), String> {
        if self.locals.in_delimiter {
            return Err("a delimiter is open".to_owned());
        }
        match item.tag {
            0x8 => self.field(ReportKind::Input, item.unsigned),
            0x9 => self.field(ReportKind::Output, item.unsigned),
            0xb => self.field(ReportKind::Feature, item.unsigned),
            0xa => {
                const APPLICATION: u32 = 1;
                let is_application = item.unsigned == APPLICATION;
                self.applications += usize::from(is_application);
                let usages = self.usages();
                let usage = usages.first().map_or(0, |(first, _)| *first);
                self.collections.push(is_application.then_some(usage));
                Ok(())
            }
            0xc => match self.collections.pop() {
                Some(_) => Ok(()),
                None => Err("the end of a collection that was not begun".to_owned()),
            },
            _ => Ok(()),
        }
    }

    fn global(&mut self, item: Item) -> Result<(), String> {
        let globals = &mut self.globals;
        match item.tag {
            0x0 if item.unsigned > 0xffff => return Err("a usage page has two bytes".to_owned()),
            0x0 => globals.page = item.unsigned,
            0x1 => globals.min = item.signed,
            // Unsigned where the minimum is: many devices write 255 as one byte.
            0x2 if globals.min < 0 => globals.max = item.signed,
            0x2 => globals.max = item.unsigned.cast_signed(),
            // Physical range, unit and its exponent.
            0x3..=0x6 => {}
            0x7 if item.unsigned > MAX_ELEMENT => {
                return Err(format!("elements of {} bits, more than {MAX_ELEMENT}", item.unsigned));
            }
            0x7 => globals.size = item.unsigned,
            0x8 => match u8::try_from(item.unsigned) {
                Ok(number @ 1..) => globals.number = number,
                _ => return Err(format!("{} is no report's number, 1 to 255", item.unsigned)),
            },
            0x9 if item.unsigned > MAX_ELEMENTS => {
                return Err(format!("{} elements, more than {MAX_ELEMENTS}", item.unsigned));
            }
            0x9 => globals.count = item.unsigned,
            0xa if self.pushed.len() == MAX_PUSHED => {
                return Err(format!("more than {MAX_PUSHED} pushes"));
            }
            0xa => self.pushed.push(*globals),
            0xb => *globals = self.pushed.pop().ok_or("a pop without a push")?,
            tag => return Err(format!("there is no global item {tag:#x}")),
        }
        Ok(())
    }

    fn local(&mut self, item: Item) -> Result<(), &'static str> {
        let locals = &mut self.locals;
        // Four bytes have the page with them.
        let usage = (item.unsigned, item.size == 4);
        match item.tag {
            // The usages of a delimiter's other branches.
            0x0..=0x2 if locals.branches > 1 => {}
            0x0 => locals.usages.push((usage.0, usage.0, usage.1)),
            0x1 => locals.least = Some(usage),
            0x2 => {
                let (least, has_page) = locals.least.take().ok_or("a maximum without a minimum")?;
                if has_page != usage.1 {
                    return Err("one end of a range of usages has a page, the other has none");
                }
                if least > usage.0 {
                    return Err("the minimum of a range of usages is more than its maximum");
                }
                locals.usages.push((least, usage.0, has_page));
            }
            0xa if item.unsigned == 1 && !locals.in_delimiter => {
                locals.in_delimiter = true;
                locals.branches += 1;
            }
            0xa if item.unsigned == 0 && locals.in_delimiter => locals.in_delimiter = false,
            0xa => return Err("a delimiter that opens or closes nothing"),
            // Designators and strings.
            _ => {}
        }
        Ok(())
    }

    /// The local usages with their pages, which are those at the main item.
    fn usages(&self) -> Vec<(u32, u32)> {
        let page = self.globals.page << 16;
        let whole = |usage: u32, has_page| if has_page { usage } else { page | (usage & 0xffff) };
        let usages = self.locals.usages.iter();
        usages.map(|(first, last, page)| (whole(*first, *page), whole(*last, *page))).collect()
    }

    fn field(&mut self, kind: ReportKind, flags: u32) -> Result<(), String> {
        const CONSTANT: u32 = 1;
        const VARIABLE: u32 = 1 << 1;
        const RELATIVE: u32 = 1 << 2;
        let Globals { min, max, size, count, number, .. } = self.globals;
        if max < min && (min < 0 || max >= 0) {
            return Err(format!("the logical minimum ({min}) is more than the maximum ({max})"));
        }
        // More than any control needs, and more than the kernel keeps.
        let max = if max < min { i32::MAX } else { max };
        let report = self.report(kind, number)?;
        let offset = self.reports[report].bits;
        let bits = size * count; // at most 256 times 12288
        let most = (MAX_REPORT - 1) * 8;
        if offset + bits > most {
            return Err(format!("the report has more than {most} bits"));
        }
        self.reports[report].bits += bits;
        let usages = self.usages();
        let is_padding = flags & CONSTANT != 0 || usages.is_empty() || bits == 0;
        if kind != ReportKind::Input || is_padding {
            return Ok(());
        }
        self.elements += count;
        if self.elements > MAX_ELEMENTS {
            return Err(format!("more than {MAX_ELEMENTS} elements"));
        }
        self.fields.push(Field {
            report,
            offset,
            size,
            count,
            min,
            max,
            is_variable: flags & VARIABLE != 0,
            is_relative: flags & RELATIVE != 0,
            usages,
            application: self.collections.iter().flatten().next().copied().unwrap_or(0),
        });
        Ok(())
    }

    /// The index of a report, which may be new.
    fn report(&mut self, kind: ReportKind, number: u8) -> Result<usize, String> {
        let same_kind = |it: &&Report| it.kind == kind;
        if self.reports.iter().filter(same_kind).any(|it| (it.number == 0) != (number == 0)) {
            return Err("some reports have numbers, and some have none".to_owned());
        }
        let known = self.reports.iter().position(|it| (it.kind, it.number) == (kind, number));
        Ok(known.unwrap_or_else(|| {
            self.reports.push(Report { kind, number, bits: 0 });
            self.reports.len() - 1
        }))
    }

    fn finish(self, bytes: &[u8]) -> Result<Descriptor, &'static str> {
        if !self.collections.is_empty() {
            return Err("a collection is not ended");
        }
        if self.locals.in_delimiter {
            return Err("a delimiter is not closed");
        }
        if self.reports.is_empty() {
            return Err("there is no report");
        }
        let Self { reports, fields, applications, .. } = self;
        Ok(Descriptor { bytes: bytes.to_owned(), reports, fields, applications })
    }
}

#[cfg(test)]
pub(super) mod tests;
