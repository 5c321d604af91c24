//! What the NFS server counts: /proc/net/rpc/nfsd (fs/nfsd/stats.c, net/sunrpc/stats.c of the kernel).

use crate::dialect::otlp::{Batch, Instrument, Named};
use crate::dialect::prometheus::{Declared, Family, Page};
use crate::host::Pass;
use crate::subject::rpc::calls::{Call, SERVER_4, VERSION_2, VERSION_3};
use crate::subject::rpc::{Columns, Count, Counted, Line, Lines};
use crate::subject::{Absent, Asker, Invalid, Machine, NoOptions, Past, Subject, Taken};

/// The subject.
pub struct Nfsd;

crate::families! { Nfsd:
    HITS counter "node_nfsd_reply_cache_hits_total" [] "Calls answered from the cache of replies";
    MISSES counter "node_nfsd_reply_cache_misses_total" [] "Calls that were to be cached and were not yet";
    NOCACHE counter "node_nfsd_reply_cache_nocache_total" [] "Calls that need no cache";
    STALE counter "node_nfsd_file_handles_stale_total" [] "File handles that led nowhere";
    READ counter "node_nfsd_disk_bytes_read_total" [] "Bytes read for clients";
    WRITTEN counter "node_nfsd_disk_bytes_written_total" [] "Bytes written for clients";
    THREADS gauge "node_nfsd_server_threads" [] "Threads of the NFS server";
    CACHE gauge "node_nfsd_read_ahead_cache_size_blocks" [] "Size of the cache of read-ahead; kernels since 5.4 have none";
    NOT_FOUND counter "node_nfsd_read_ahead_cache_not_found_total" [] "Look-ups in the cache of read-ahead that found nothing";
    PACKETS counter "node_nfsd_packets_total" ["proto"] "Packets of the NFS server";
    CONNECTIONS counter "node_nfsd_connections_total" [] "TCP connections of the NFS server";
    ERRORS counter "node_nfsd_rpc_errors_total" ["error"] "Calls the NFS server could not serve";
    RPCS counter "node_nfsd_server_rpcs_total" [] "Calls to the NFS server";
    REQUESTS counter "node_nfsd_requests_total" ["proto", "method"] "Calls to the NFS server, by version and method";
}
crate::instruments! { Nfsd:
    REPLIES counter int "nfs.server.repcache.requests" "{request}" ["nfs.server.repcache.status"] "Calls by what the cache of replies had of them";
    HANDLES counter int "nfs.server.fh.stale.count" "{fh}" [] "File handles that led nowhere";
    IO counter int "nfs.server.io" "By" ["network.io.direction"] "Bytes read (receive) and written (transmit) for clients";
    SERVING updown int "nfs.server.thread.count" "{thread}" [] "Threads of the NFS server";
    NETWORK counter int "nfs.server.net.count" "{request}" ["network.transport"] "Packets of the NFS server";
    ACCEPTED counter int "nfs.server.net.tcp.connection.accepted" "{connection}" [] "TCP connections of the NFS server";
    FAILED counter int "nfs.server.rpc.count" "{request}" ["error.type"] "Calls the NFS server could not serve";
    PROCEDURES counter int "nfs.server.procedure.count" "{procedure}" ["onc_rpc.version" int, "onc_rpc.procedure.name"] "Calls to the NFS server";
    OPERATIONS counter int "nfs.server.operation.count" "{operation}" ["onc_rpc.version" int, "nfs.operation.name"] "Operations of version 4 in calls to the NFS server";
}

const LINES: [Line; 12] = [
    Line("rc", Count::Of(3)),
    Line("fh", Count::Of(5)),
    Line("io", Count::Of(2)),
    Line("th", Count::First(2)),
    Line("ra", Count::Of(12)),
    Line("net", Count::Of(4)),
    Line("rpc", Count::Of(5)),
    Line("proc2", Count::Said(18)),
    Line("proc3", Count::Said(22)),
    Line("proc4", Count::Said(2)),
    Line("proc4ops", Count::Said(39)),
    Line("wdeleg_getattr", Count::First(1)),
];
const RC: usize = 0;
const FH: usize = 1;
const IN_OUT: usize = 2;
const TH: usize = 3;
const RA: usize = 4;
const NET: usize = 5;
const RPC: usize = 6;
const WDELEG: usize = 11;

static NUMBERS: [(usize, usize, &Family<Nfsd, 0>); 11] = [
    (RC, 0, &HITS),
    (RC, 1, &MISSES),
    (RC, 2, &NOCACHE),
    (FH, 0, &STALE),
    (IN_OUT, 0, &READ),
    (IN_OUT, 1, &WRITTEN),
    (TH, 0, &THREADS),
    (RA, 0, &CACHE),
    (RA, 11, &NOT_FOUND),
    (NET, 3, &CONNECTIONS),
    (RPC, 0, &RPCS),
];
static LABELLED: [(&Family<Nfsd, 1>, usize, Columns); 2] = [
    (&PACKETS, NET, TRANSPORTS),
    (&ERRORS, RPC, &[(2, "fmt"), (3, "auth"), (4, "cInt")]),
];
static ATTRIBUTED: [(&Instrument<Nfsd, 1>, usize, Columns); 4] = [
    (&REPLIES, RC, &[(0, "hit"), (1, "miss"), (2, "nocache")]),
    // As hostmetrics has it: what is read for a client is "receive".
    (&IO, IN_OUT, &[(0, "receive"), (1, "transmit")]),
    (&NETWORK, NET, TRANSPORTS),
    (&FAILED, RPC, &[(2, "format"), (3, "auth"), (4, "client")]),
];
const TRANSPORTS: Columns = &[(1, "udp"), (2, "tcp")];
const PROCEDURES_4: &[Call] = &[Call("", "NULL"), Call("", "COMPOUND")];
const VERSIONS: [Counted; 4] = [
    (7, "2", VERSION_2),
    (8, "3", VERSION_3),
    (9, "4", PROCEDURES_4),
    (10, "4", SERVER_4),
];

impl Subject for Nfsd {
    const NAME: &'static str = "nfsd";
    const ON: bool = true;
    const EXPORTED: bool = false;
    const FAMILIES: &'static [&'static dyn Declared] = FAMILIES;
    const INSTRUMENTS: &'static [&'static dyn Named] = INSTRUMENTS;
    type Options = NoOptions;
    type Want = ();
    type Reading = Lines;

    fn new(_: &NoOptions, _: &Machine) -> Result<Self, Invalid> {
        Ok(Self)
    }

    fn want(_: &NoOptions, _: Asker) {}

    fn read(&mut self, pass: &mut Pass<'_>, (): &()) -> Result<Taken<Lines>, Absent> {
        Ok(Lines::parse(&pass.net_file("rpc/nfsd")?, &LINES))
    }

    fn prometheus(_: &NoOptions, reading: &Lines, page: &mut Page<'_, Self>) {
        reading.values(page, &NUMBERS);
        for labelled in LABELLED {
            reading.label(page, labelled);
        }
        let mut requests = page.family(&REQUESTS);
        reading.methods(&mut requests, &VERSIONS, "Null");
        if let Some(number) = reading.shown(WDELEG, 0) {
            requests.push(["4", "WdelegGetattr"], number);
        }
    }

    fn otlp(_: &NoOptions, past: Past<'_, Lines>, batch: &mut Batch<'_, '_, Self>) {
        let reading = past.now;
        for attributed in ATTRIBUTED {
            reading.attribute(batch, attributed);
        }
        let numbers = [(FH, 0, &HANDLES), (TH, 0, &SERVING), (NET, 3, &ACCEPTED)];
        reading.counts(batch, &numbers);
        let [_, third, fourth, operations] = VERSIONS;
        reading.names(batch, &PROCEDURES, &[third, fourth]);
        reading.names(batch, &OPERATIONS, &[operations]);
    }
}
