//! The Prometheus dialect: declared families, the page, text 0.0.4 and OpenMetrics 1.0.
//!
//! A [`Page`] takes only families declared for its subject with exactly their labels, so an undeclared name or a
//! wrong number of labels does not compile. The writer refuses a series twice and a family twice, and counts both:
//! one duplicate would cost the whole scrape.

mod family;
mod foreign;
mod histogram;
mod openmetrics;
mod page;
#[doc(hidden)]
pub mod parse;
mod picked;
mod text;

pub use family::{Declared, Descriptor, Family, Kind, Rule, is_name, joined, listed};
pub use foreign::{Foreign, Others, Series};
pub use histogram::{Distributions, Histogram};
pub use page::{Format, Out, Page, Samples};
pub use picked::Sample;
