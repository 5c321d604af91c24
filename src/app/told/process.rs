//! What nodeward itself uses, under the names every client library uses.

use crate::dialect::Told;
use crate::dialect::prometheus::{Declared, Out};
use crate::host::Own;

/// Tells `process_*`.
pub struct Process(pub Own);

crate::families! { Process:
    CPU counter "process_cpu_seconds_total" [] "User and system time of this process in seconds";
    MAX_FDS gauge "process_max_fds" [] "Soft limit of open descriptors";
    RECEIVED counter "process_network_receive_bytes_total" [] "Bytes received over IP by the network namespace of this process";
    SENT counter "process_network_transmit_bytes_total" [] "Bytes sent over IP by the network namespace of this process";
    OPEN_FDS gauge "process_open_fds" [] "Open descriptors";
    RESIDENT gauge "process_resident_memory_bytes" [] "Resident memory in bytes";
    START gauge "process_start_time_seconds" [] "Start of this process in Unix seconds";
    THREADS gauge "process_threads" [] "Threads of this process";
    VIRTUAL gauge "process_virtual_memory_bytes" [] "Address space in bytes";
    VIRTUAL_MAX gauge "process_virtual_memory_max_bytes" [] "Limit of the address space in bytes";
}

impl Told for Process {
    fn families(&self) -> &'static [&'static dyn Declared] {
        FAMILIES
    }

    fn prometheus(&self, out: &mut Out) {
        let usage = self.0.usage();
        let mut page = out.page::<Self>();
        if let Some(seconds) = usage.cpu_seconds {
            page.value(&CPU, seconds);
        }
        if let Some(started) = usage.started {
            page.value(&START, started);
        }
        for (family, value) in [(&RECEIVED, usage.received_bytes), (&SENT, usage.sent_bytes)] {
            if let Some(value) = value {
                page.value(family, value);
            }
        }
        for (family, value) in [
            (&MAX_FDS, usage.fd_limit),
            (&OPEN_FDS, usage.open_fds),
            (&RESIDENT, usage.resident_bytes),
            (&THREADS, usage.threads),
            (&VIRTUAL, usage.virtual_bytes),
            (&VIRTUAL_MAX, usage.virtual_limit),
        ] {
            if let Some(value) = value {
                page.value(family, value);
            }
        }
    }
}
