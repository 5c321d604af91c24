//! How the kernel keeps its clock in step: adjtimex(2), read only. Always of the machine we run on.

use crate::dialect::prometheus::{Declared, Family, Page};
use crate::host::{Pass, discipline};
use crate::subject::{Absent, Asker, Invalid, Machine, NoOptions, Subject, Taken};

/// The subject.
pub struct Timex;

crate::families! { Timex:
    SYNC gauge "node_timex_sync_status" [] "Whether the clock is kept in step with a reliable server";
    OFFSET gauge "node_timex_offset_seconds" [] "What the clock is ahead of the reference clock";
    FREQUENCY gauge "node_timex_frequency_adjustment_ratio" [] "What the clock's frequency is corrected by";
    MOST_ERROR gauge "node_timex_maxerror_seconds" [] "The clock's error at most";
    ERROR gauge "node_timex_estimated_error_seconds" [] "The clock's error as it is estimated";
    STATUS gauge "node_timex_status" [] "Bits of the clock's status";
    CONSTANT gauge "node_timex_loop_time_constant" [] "Time constant of the loop that keeps the clock in step";
    TICK gauge "node_timex_tick_seconds" [] "Seconds between ticks of the clock";
    PPS_FREQUENCY gauge "node_timex_pps_frequency_hertz" [] "Frequency of the pulse-per-second signal";
    PPS_JITTER gauge "node_timex_pps_jitter_seconds" [] "Jitter of the pulse-per-second signal";
    PPS_SHIFT gauge "node_timex_pps_shift_seconds" [] "Interval over which the pulse-per-second signal is calibrated";
    PPS_STABILITY gauge "node_timex_pps_stability_hertz" [] "Average change of the pulse-per-second signal's frequency";
    PPS_JITTERS counter "node_timex_pps_jitter_total" [] "Times the pulse-per-second signal had too much jitter";
    PPS_CALIBRATIONS counter "node_timex_pps_calibration_total" [] "Calibrations of the pulse-per-second signal";
    PPS_ERRORS counter "node_timex_pps_error_total" [] "Calibrations of the pulse-per-second signal that failed";
    PPS_EXCEEDED counter "node_timex_pps_stability_exceeded_total" [] "Times the pulse-per-second signal was not stable enough";
    TAI gauge "node_timex_tai_offset_seconds" [] "What International Atomic Time is ahead of UTC";
}

/// Families and values, in the order they are told.
pub type Reading = Vec<(&'static Family<Timex, 0>, f64)>;

/// Bit of the status: offsets and jitter are nanoseconds, not microseconds.
const NANO: i32 = 0x2000;
const MICROS: f64 = 1e6;
/// Frequencies are millionths in 65536 parts.
const PARTS: f64 = 65_536.0 * 1e6;

impl Subject for Timex {
    const NAME: &'static str = "timex";
    const ON: bool = true;
    const FAMILIES: &'static [&'static dyn Declared] = FAMILIES;
    type Options = NoOptions;
    type Want = ();
    type Reading = Reading;

    fn new(_: &NoOptions, _: &Machine) -> Result<Self, Invalid> {
        Ok(Self)
    }

    fn want(_: &NoOptions, _: Asker) {}

    #[expect(clippy::cast_precision_loss, reason = "every sample is a double")]
    fn read(&mut self, _: &mut Pass<'_>, (): &()) -> Result<Taken<Reading>, Absent> {
        let (synchronised, timex) = discipline().map_err(|e| match e.kind() {
            std::io::ErrorKind::PermissionDenied => Absent::NotHere(format!("adjtimex: {e}")),
            _ => Absent::Failed(format!("adjtimex: {e}")),
        })?;
        let timex = timex.0;
        let fraction = if timex.status & NANO == 0 {
            MICROS
        } else {
            1e9
        };
        let offset = timex.offset as f64 / fraction;
        let reading: Reading = vec![
            (&SYNC, f64::from(u8::from(synchronised))),
            (&OFFSET, offset),
            (&FREQUENCY, 1.0 + timex.freq as f64 / PARTS),
            (&MOST_ERROR, timex.maxerror as f64 / MICROS),
            (&ERROR, timex.esterror as f64 / MICROS),
            (&STATUS, f64::from(timex.status)),
            (&CONSTANT, timex.constant as f64),
            (&TICK, timex.tick as f64 / MICROS),
            (&PPS_FREQUENCY, timex.ppsfreq as f64 / PARTS),
            (&PPS_JITTER, timex.jitter as f64 / fraction),
            (&PPS_SHIFT, f64::from(timex.shift)),
            (&PPS_STABILITY, timex.stabil as f64 / PARTS),
            (&PPS_JITTERS, timex.jitcnt as f64),
            (&PPS_CALIBRATIONS, timex.calcnt as f64),
            (&PPS_ERRORS, timex.errcnt as f64),
            (&PPS_EXCEEDED, timex.stbcnt as f64),
            (&TAI, f64::from(timex.tai)),
        ];
        Ok(reading.into())
    }

    fn prometheus(_: &NoOptions, reading: &Reading, page: &mut Page<'_, Self>) {
        for (family, value) in reading {
            page.value(family, *value);
        }
    }
}
