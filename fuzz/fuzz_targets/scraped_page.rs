#![no_main]

#[path = "../checks/scraped_page.rs"]
mod scraped_page;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| scraped_page::check(bytes));
