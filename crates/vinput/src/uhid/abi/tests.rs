//! Layouts compared with what a C compiler makes of the kernel's header.

use proptest::prelude::*;

use super::*;
use crate::c_header;

#[test]
fn records_have_the_layout_of_the_c_header() {
    let ours = [
        ("sizeof(struct uhid_event)", EVENT_SIZE),
        ("HID_MAX_DESCRIPTOR_SIZE", DESCRIPTOR_MAX),
        ("UHID_DATA_MAX", DATA_MAX),
        ("UHID_START", START as usize),
        ("UHID_STOP", STOP as usize),
        ("UHID_OUTPUT", OUTPUT as usize),
        ("UHID_GET_REPORT", GET_REPORT as usize),
        ("UHID_GET_REPORT_REPLY", GET_REPORT_REPLY as usize),
        ("UHID_CREATE2", CREATE2 as usize),
        ("UHID_INPUT2", INPUT2 as usize),
        ("UHID_SET_REPORT", SET_REPORT as usize),
        ("UHID_SET_REPORT_REPLY", SET_REPORT_REPLY as usize),
        ("offsetof(struct uhid_event, u.create2.name)", CREATE_NAME),
        ("offsetof(struct uhid_event, u.create2.phys)", CREATE_PHYS),
        ("offsetof(struct uhid_event, u.create2.uniq)", CREATE_UNIQ),
        ("offsetof(struct uhid_event, u.create2.rd_size)", CREATE_RD_SIZE),
        ("offsetof(struct uhid_event, u.create2.bus)", CREATE_BUS),
        ("offsetof(struct uhid_event, u.create2.vendor)", CREATE_VENDOR),
        ("offsetof(struct uhid_event, u.create2.product)", CREATE_PRODUCT),
        ("offsetof(struct uhid_event, u.create2.version)", CREATE_VERSION),
        ("offsetof(struct uhid_event, u.create2.rd_data)", CREATE_RD_DATA),
        ("offsetof(struct uhid_event, u.input2.size)", INPUT_SIZE),
        ("offsetof(struct uhid_event, u.input2.data)", INPUT_DATA),
        ("offsetof(struct uhid_event, u.output.data)", OUTPUT_DATA),
        ("offsetof(struct uhid_event, u.output.size)", OUTPUT_SIZE),
        ("offsetof(struct uhid_event, u.get_report.id)", REQUEST_ID),
        ("offsetof(struct uhid_event, u.get_report.rnum)", REQUEST_NUMBER),
        ("offsetof(struct uhid_event, u.set_report.id)", REQUEST_ID),
        ("offsetof(struct uhid_event, u.set_report.size)", REQUEST_SIZE),
        ("offsetof(struct uhid_event, u.set_report.data)", SET_REPORT_DATA),
        ("offsetof(struct uhid_event, u.get_report_reply.id)", REQUEST_ID),
        ("offsetof(struct uhid_event, u.get_report_reply.err)", REPLY_ERR),
        ("offsetof(struct uhid_event, u.get_report_reply.size)", REPLY_SIZE),
        ("offsetof(struct uhid_event, u.get_report_reply.data)", REPLY_DATA),
        ("offsetof(struct uhid_event, u.set_report_reply.id)", REQUEST_ID),
        ("offsetof(struct uhid_event, u.set_report_reply.err)", REPLY_ERR),
        ("sizeof(((struct uhid_event *)0)->u.create2.phys)", PHYS_MAX + 1),
        ("sizeof(((struct uhid_event *)0)->u.create2.uniq)", PHYS_MAX + 1),
    ];
    let theirs = c_header::values("linux/uhid.h", &ours.map(|(expression, _)| expression));
    for (expression, value) in ours {
        assert_eq!(theirs[expression], value as u64, "{expression}");
    }
}

#[test]
fn records_are_cut_off_after_their_last_used_byte() {
    let input = Record::input(&[0x01, 0x80]);
    assert_eq!(
        input.as_bytes(),
        [&12_u32.to_ne_bytes()[..], &2_u16.to_ne_bytes(), &[1, 0x80]].concat()
    );
    let reply = Record::get_report_reply(7, Some(&[5, 6]));
    assert_eq!(reply.as_bytes().len(), 14);
    assert_eq!(reply.as_bytes()[12..], [5, 6]);
    let refusal = Record::get_report_reply(7, None);
    assert_eq!(refusal.as_bytes()[8..], [5_u16.to_ne_bytes(), [0, 0]].concat());
    assert_eq!(Record::set_report_reply(7, true).as_bytes().len(), 10);
}

#[test]
fn a_long_text_is_cut_off_before_the_nul() {
    let create = Create {
        name: "n",
        phys: &"p".repeat(100),
        uniq: "u",
        bus: 3,
        vendor: 0x54c,
        product: 0xce6,
        version: 0x100,
        descriptor: &[0xc0],
    };
    let record = create.encode();
    assert_eq!(record.len(), CREATE_RD_DATA + 1);
    assert_eq!(&record[CREATE_UNIQ - 2..CREATE_UNIQ + 2], b"p\0u\0");
}

proptest! {
    #[test]
    fn any_record_is_decoded(kind in 0_u32..20, size in any::<u16>(), fill in any::<u8>()) {
        let mut record = [fill; EVENT_SIZE];
        put(&mut record, 0, &kind.to_ne_bytes());
        put(&mut record, OUTPUT_SIZE, &size.to_ne_bytes());
        put(&mut record, REQUEST_SIZE, &size.to_ne_bytes());
        match Event::decode(&record) {
            Event::Output(data) | Event::SetReport { data, .. } => {
                prop_assert_eq!(data.len(), usize::from(size).min(DATA_MAX));
            }
            _ => {}
        }
    }
}
