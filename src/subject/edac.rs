//! Errors of memory that was corrected or not: /sys/devices/system/edac/mc (Linux Documentation/admin-guide/RAS).

use crate::dialect::prometheus::{Declared, Family, Page};
use crate::host::Pass;
use crate::host::parse::{label, unsigned};
use crate::subject::{Absent, Asker, Invalid, ItemError, Lane, Machine, NoOptions, Subject, Taken};

const DIR: &str = "devices/system/edac/mc";

/// The subject.
pub struct Edac;

crate::families! { Edac:
    CORRECTED counter "node_edac_correctable_errors_total" ["controller"] "Errors that were corrected, of a memory controller";
    UNCORRECTED counter "node_edac_uncorrectable_errors_total" ["controller"] "Errors that could not be corrected, of a memory controller";
    ROW_CORRECTED counter "node_edac_csrow_correctable_errors_total" ["controller", "csrow"] "Errors that were corrected, of a row; unknown where the row is not known";
    ROW_UNCORRECTED counter "node_edac_csrow_uncorrectable_errors_total" ["controller", "csrow"] "Errors that could not be corrected, of a row; unknown where the row is not known";
    CHANNEL_CORRECTED counter "node_edac_channel_correctable_errors_total" ["controller", "csrow", "channel", "dimm_label"] "Errors that were corrected, of a channel";
    CHANNEL_UNCORRECTED counter "node_edac_channel_uncorrectable_errors_total" ["controller", "csrow", "channel", "dimm_label"] "Errors that could not be corrected, of a channel";
}

/// Corrected errors and others; none for what could not be read.
type Counts = [Option<u64>; 2];

/// What was read, each with its labels.
#[derive(Debug, Default)]
pub struct Reading {
    controllers: Vec<([String; 1], Counts)>,
    rows: Vec<([String; 2], Counts)>,
    channels: Vec<([String; 4], Counts)>,
}

/// The digits that follow a word at the start of a name; none if it is another name.
fn numbered(name: &str, word: &str) -> Option<String> {
    let rest = name.strip_prefix(word)?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    (!digits.is_empty()).then_some(digits)
}

/// What a module is labelled, in the words of the reference.
fn dimm(pass: &Pass<'_>, row: &str, channel: &str) -> String {
    match pass.attribute(&format!("{row}/ch{channel}_dimm_label")) {
        Err(_) => "unknown".into(),
        Ok(text) => label(&text)
            .replace('#', "")
            .replace("csrow", "_csrow")
            .replace("channel", "_channel"),
    }
}

struct Reader<'a, 'b> {
    pass: &'a Pass<'b>,
    errors: Vec<ItemError>,
}

impl Reader<'_, '_> {
    fn count(&mut self, path: &str) -> Option<u64> {
        let why = match self.pass.attribute(path) {
            Ok(text) => match unsigned(&text) {
                Some(count) => return Some(count),
                None => "it is no number".into(),
            },
            Err(e) => e.to_string(),
        };
        self.errors.push(ItemError {
            kind: "counter",
            item: path.trim_start_matches(DIR).into(),
            why,
        });
        None
    }

    fn counts(&mut self, dir: &str, start: &str, end: &str) -> Counts {
        ["ce", "ue"].map(|kind| self.count(&format!("{dir}/{start}{kind}{end}")))
    }

    fn row(&mut self, controller: &str, row: &str, path: &str, into: &mut Reading) {
        let counts = self.counts(path, "", "_count");
        into.rows.push(([controller.into(), row.into()], counts));
        let files = self.pass.devices(path).unwrap_or_default();
        for file in files {
            let Some(channel) = numbered(&file, "ch").filter(|c| file == format!("ch{c}_ce_count"))
            else {
                continue;
            };
            let corrected = self.count(&format!("{path}/{file}"));
            // Not every driver has it.
            let other = self.pass.attribute(&format!("{path}/ch{channel}_ue_count"));
            let other = other.ok().and_then(|text| unsigned(&text));
            let label = dimm(self.pass, path, &channel);
            let labels = [controller.into(), row.into(), channel, label];
            into.channels.push((labels, [corrected, other]));
        }
    }
}

/// Writes what was read of one level: corrected errors, then the others.
fn tell<const N: usize>(
    page: &mut Page<'_, Edac>,
    families: [&'static Family<Edac, N>; 2],
    read: &[([String; N], Counts)],
) {
    for (at, family) in families.into_iter().enumerate() {
        let mut samples = page.family(family);
        for (labels, counts) in read {
            if let Some(count) = counts.get(at).copied().flatten() {
                samples.push(labels.each_ref().map(String::as_str), count);
            }
        }
    }
}

impl Subject for Edac {
    const NAME: &'static str = "edac";
    const ON: bool = true;
    const LANE: Lane = Lane::Drivers;
    const FAMILIES: &'static [&'static dyn Declared] = FAMILIES;
    type Options = NoOptions;
    type Want = ();
    type Reading = Reading;

    fn new(_: &NoOptions, _: &Machine) -> Result<Self, Invalid> {
        Ok(Self)
    }

    fn want(_: &NoOptions, _: Asker) {}

    fn read(&mut self, pass: &mut Pass<'_>, (): &()) -> Result<Taken<Reading>, Absent> {
        let mut reading = Reading::default();
        let mut reader = Reader {
            pass,
            errors: Vec::new(),
        };
        // Without memory that corrects itself there is nothing to tell, and nothing wrong.
        for name in pass.devices(DIR).unwrap_or_default() {
            let Some(controller) = numbered(&name, "mc") else {
                continue;
            };
            let dir = format!("{DIR}/{name}");
            let counts = reader.counts(&dir, "", "_count");
            reading.controllers.push(([controller.clone()], counts));
            let counts = reader.counts(&dir, "", "_noinfo_count");
            let labels = [controller.clone(), "unknown".into()];
            reading.rows.push((labels, counts));
            for name in pass.devices(&dir).unwrap_or_default() {
                if let Some(row) = numbered(&name, "csrow") {
                    reader.row(&controller, &row, &format!("{dir}/{name}"), &mut reading);
                }
            }
        }
        Ok(Taken::lacking(reading, reader.errors))
    }

    fn prometheus(_: &NoOptions, reading: &Reading, page: &mut Page<'_, Self>) {
        tell(page, [&CORRECTED, &UNCORRECTED], &reading.controllers);
        tell(page, [&ROW_CORRECTED, &ROW_UNCORRECTED], &reading.rows);
        let families = [&CHANNEL_CORRECTED, &CHANNEL_UNCORRECTED];
        tell(page, families, &reading.channels);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::tests::captured::Captured;

    #[test]
    fn a_counter_that_cannot_be_read_costs_itself() {
        let machine = Captured::new(&[
            ("sys/devices/system/edac/mc/mc0/ce_count", "3\n"),
            ("sys/devices/system/edac/mc/mc0/ue_count", "many\n"),
            ("sys/devices/system/edac/mc/mc0/ce_noinfo_count", "1\n"),
            ("sys/devices/system/edac/mc/mc0/ue_noinfo_count", "0\n"),
            ("sys/devices/system/edac/mc/mc0/csrow2/ce_count", "2\n"),
            ("sys/devices/system/edac/mc/mc0/csrow2/ue_count", "0\n"),
            ("sys/devices/system/edac/mc/mc0/csrow2/ch1_ce_count", "2\n"),
            (
                "sys/devices/system/edac/mc/mc0/csrow2/ch1_dimm_label",
                "CPU#0channel#1\n",
            ),
            ("sys/devices/system/edac/mc/mc0/csrow2/chx_ce_count", "2\n"),
            ("sys/devices/system/edac/mc/power/control", "auto\n"),
        ]);
        let (page, errors) = machine.page::<Edac>(&[]);
        assert_eq!(errors.len(), 1, "{errors:?}");
        for line in [
            "node_edac_correctable_errors_total{controller=\"0\"} 3\n",
            "node_edac_csrow_correctable_errors_total{controller=\"0\",csrow=\"unknown\"} 1\n",
            "node_edac_channel_correctable_errors_total{controller=\"0\",csrow=\"2\",channel=\"1\",dimm_label=\"CPU0_channel1\"} 2\n",
        ] {
            assert!(page.contains(line), "{line}{page}");
        }
        assert!(!page.contains("node_edac_uncorrectable") && !page.contains("channel_uncorr"));
        assert_eq!(Captured::new(&[]).page::<Edac>(&[]).0, "");
    }
}
