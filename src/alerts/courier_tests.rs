use super::*;

#[test]
fn a_subject_of_a_message_is_one_line() {
    assert_eq!(line("a\r\nBcc: x"), "a  Bcc: x");
    assert_eq!(line(&"ü".repeat(300)).chars().count(), MAX_SUBJECT);
}

#[test]
fn words_for_dates_are_put_in() {
    let today = NaiveDate::from_ymd_opt(2026, 11, 20).unwrap_or_default();
    assert_eq!(expanded("Alerts of {{today}}", today).as_deref(), Ok("Alerts of 2026-11-20"));
    assert!(expanded("{{yesteryear}}", today).is_err());
}
