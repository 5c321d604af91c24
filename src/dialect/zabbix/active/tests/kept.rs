//! Values that no server has taken yet.

use super::*;

#[tokio::test]
async fn what_was_not_taken_comes_again_as_it_was() {
    let mut server = Server::new().await;
    let active = start(&options(&[server.address]), None, None).await;
    server
        .hears("active checks")
        .await
        .answer(&list(&[(1, "count", "1s")]))
        .await;
    let first = server.hears_data().await;
    let values = first.request["data"].clone();
    // The answer is lost on the way, whether or not it was taken.
    drop(first);
    let second = server.hears_data().await;
    assert_eq!(second.request["data"], values);
    second
        .answer(&json!({"response": "failed", "info": "not now"}))
        .await;
    let third = server.hears_data().await;
    assert_eq!(third.request["data"], values);
    let answer = taken(&third);
    third.answer(&answer).await;
    let next = server.hears_data().await;
    let number = |values: &Value| {
        values
            .as_array()
            .unwrap()
            .iter()
            .map(|v| v["id"].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    let (before, after) = (number(&values), number(&next.request["data"]));
    assert_eq!(before.last().unwrap() + 1, after[0]);
    let counts = told(&active).counts;
    assert_eq!(counts.values(Fate::Taken), before.len() as u64);
    assert_eq!(
        (
            counts.failed(counts::Request::Data, 2),
            counts.failed(counts::Request::Data, 4)
        ),
        (1, 1)
    );
}

#[tokio::test]
async fn a_server_that_is_away_for_long_gets_everything_from_the_spool_in_order() {
    let state = tempfile::tempdir().unwrap();
    let mut server = Server::new().await;
    let address = server.address;
    let options = Options {
        buffer_size: 4,
        ..options(&[address])
    };
    let active = start(&options, Some(state.path()), None).await;
    server
        .hears("active checks")
        .await
        .answer(&list(&[
            (1, "count", "1s"),
            (2, "count", "1s"),
            (3, "count", "1s"),
        ]))
        .await;
    drop(server.hears_data().await);
    drop(server);
    let one = told(&active);
    until(|| one.waiting[0].spool().unwrap().depth().items >= 6).await;
    // Ended while it waits, the next process brings what is there in the old session before its own.
    let session = one.waiting[0].session();
    active.stop(Instant::now()).await;
    let waits = one.waiting[0].spool().unwrap().depth().items;
    assert_eq!(
        (
            one.waiting[0].in_memory(),
            one.counts.values(Fate::Shutdown)
        ),
        (0, 0)
    );
    drop(one);
    let mut server = Server::at(address).await;
    let active = start(&options, Some(state.path()), None).await;
    let mut numbers = Vec::new();
    while (numbers.len() as u64) < waits {
        let data = server.hears_data().await;
        assert_eq!(data.request["session"], *session);
        let answer = taken(&data);
        let data = data.answer(&answer).await;
        numbers.extend(
            data["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|value| value["id"].as_u64().unwrap()),
        );
    }
    assert_eq!(numbers, (1..=waits).collect::<Vec<_>>());
    until(|| told(&active).waiting[0].spool().unwrap().depth().records == 0).await;
    assert_ne!(*told(&active).waiting[0].session(), *session);
}

#[tokio::test]
async fn values_are_brought_when_they_are_due_and_not_when_the_list_is() {
    let mut server = Server::new().await;
    let options = Options {
        refresh_active_checks: Some(Period::secs(3600)),
        heartbeat: Period::secs(0),
        ..options(&[server.address])
    };
    let _active = start(&options, None, None).await;
    server
        .hears("active checks")
        .await
        .answer(&list(&[(1, "count", "1s")]))
        .await;
    for _ in 0..2 {
        let data = server.hears("agent data").await;
        let answer = taken(&data);
        data.answer(&answer).await;
    }
}

/// As behind a firewall that swallows what comes.
#[tokio::test]
async fn while_a_request_hangs_memory_goes_to_the_spool_and_nothing_is_lost_or_doubled() {
    let state = tempfile::tempdir().unwrap();
    let mut server = Server::new().await;
    let options = Options {
        buffer_size: 8,
        timeout: Period::secs(60),
        ..options(&[server.address])
    };
    let active = start(&options, Some(state.path()), None).await;
    let items = [(1, "count", "1s"), (2, "count", "1s"), (3, "count", "1s")];
    server
        .hears("active checks")
        .await
        .answer(&list(&items))
        .await;
    let hanging = server.hears_data().await;
    let one = told(&active);
    // It goes there with what is on its way, which is the oldest.
    until(|| one.waiting[0].spool().unwrap().depth().items >= 9).await;
    assert_eq!(one.counts.values(Fate::MemoryFull), 0);
    let ids = |data: &Value| {
        let values = data["data"].as_array().unwrap().iter();
        values
            .map(|value| value["id"].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    let answer = taken(&hanging);
    let mut numbers = ids(&hanging.answer(&answer).await);
    while numbers.len() < 12 {
        let data = server.hears_data().await;
        let answer = taken(&data);
        numbers.extend(ids(&data.answer(&answer).await));
    }
    let expected: Vec<u64> = (1..).take(numbers.len()).collect();
    assert_eq!(numbers, expected);
    assert_eq!(one.counts.values(Fate::MemoryFull), 0);
}

#[tokio::test]
async fn without_a_spool_the_oldest_go_and_are_counted() {
    let counts = Arc::<Counts>::default();
    let waiting = Waiting::new(3, None, Arc::clone(&counts));
    (0..5).for_each(|_| waiting.push(|id| id.to_string()));
    assert_eq!(
        (counts.values(Fate::MemoryFull), waiting.in_memory()),
        (2, 3)
    );
    let batch = waiting.batch().await.unwrap();
    assert_eq!((&*batch.values, batch.count), ("3,4,5", 3));
    // What is on its way stays as it is.
    (0..4).for_each(|_| waiting.push(|id| id.to_string()));
    assert_eq!(waiting.batch().await.unwrap(), batch);
    waiting.settle(1).await;
    assert_eq!(
        (counts.values(Fate::Taken), counts.values(Fate::Rejected)),
        (2, 1)
    );
    assert_eq!(&*waiting.batch().await.unwrap().values, "7,8,9");
    waiting.end();
    assert_eq!(
        (
            counts.values(Fate::Shutdown),
            counts.values(Fate::MemoryFull)
        ),
        (3, 3)
    );
}

#[tokio::test]
async fn a_spool_that_cannot_be_written_leaves_all_in_memory() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("file");
    std::fs::write(&file, "").unwrap();
    let counts = Arc::<Counts>::default();
    let bounds = crate::dialect::spool::Options::default().bounds().unwrap();
    let waiting = Arc::new(Waiting::new(
        6,
        Some(spool(&file, bounds, &counts)),
        Arc::clone(&counts),
    ));
    assert_eq!(waiting.open().await, 0);
    (0..4).for_each(|_| waiting.push(|id| id.to_string()));
    waiting.spill().await;
    assert_eq!(&*waiting.batch().await.unwrap().values, "1,2,3,4");
    waiting.spill().await;
    waiting.settle(0).await;
    assert_eq!(counts.values(Fate::Taken), 4);
}

#[tokio::test]
async fn while_the_spool_is_sent_memory_goes_behind_it_and_nothing_before_it() {
    let place = tempfile::tempdir().unwrap();
    let counts = Arc::<Counts>::default();
    let bounds = crate::dialect::spool::Options::default().bounds().unwrap();
    let waiting = Arc::new(Waiting::new(
        4,
        Some(spool(place.path(), bounds, &counts)),
        counts,
    ));
    (0..2).for_each(|_| waiting.push(|id| id.to_string()));
    assert!(waiting.spills(true) && !waiting.spills(false));
    waiting.spill().await;
    assert!(!waiting.spills(true));
    (0..2).for_each(|_| waiting.push(|id| id.to_string()));
    assert!(
        waiting.spills(false),
        "the server is back, its backlog is not sent"
    );
    waiting.spill().await;
    waiting.push(|id| id.to_string());
    // Where the disk cannot be read now, what is younger waits too.
    let directory = waiting.spool().unwrap().directory().to_owned();
    let files: Vec<_> = std::fs::read_dir(&directory).unwrap().flatten().collect();
    let file = files
        .iter()
        .map(std::fs::DirEntry::path)
        .find(|path| std::fs::metadata(path).unwrap().len() > 16)
        .unwrap();
    let aside = place.path().join("aside");
    std::fs::rename(&file, &aside).unwrap();
    std::fs::create_dir(&file).unwrap();
    assert_eq!(waiting.batch().await, None);
    std::fs::remove_dir(&file).unwrap();
    std::fs::rename(&aside, &file).unwrap();
    for values in ["1,2", "3,4", "5"] {
        assert_eq!(&*waiting.batch().await.unwrap().values, values);
        waiting.settle(0).await;
    }
}

/// As at a reload, which cuts off whoever spills.
#[tokio::test]
async fn a_spill_that_is_cut_off_goes_on_and_loses_nothing() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("file");
    std::fs::write(&file, "").unwrap();
    let bounds = || crate::dialect::spool::Options::default().bounds().unwrap();
    for (directory, spooled) in [(place.path(), 3), (&file, 0)] {
        let counts = Arc::<Counts>::default();
        let waiting = Waiting::new(8, Some(spool(directory, bounds(), &counts)), counts);
        let waiting = Arc::new(waiting);
        waiting.open().await;
        (0..3).for_each(|_| waiting.push(|id| id.to_string()));
        tokio::select! {
            biased;
            () = waiting.spill() => panic!("the disk is not asked on this thread"),
            () = tokio::task::yield_now() => {}
        }
        waiting.settled().await;
        assert_eq!(waiting.spool().unwrap().depth().items, spooled);
        assert_eq!(waiting.in_memory() as u64, 3 - spooled);
        assert_eq!(&*waiting.batch().await.unwrap().values, "1,2,3");
    }
}

/// The disk is for a server that is away.
#[tokio::test]
async fn a_server_that_answers_leaves_the_disk_alone() {
    let state = tempfile::tempdir().unwrap();
    let mut server = Server::new().await;
    let options = Options {
        buffer_size: 6,
        ..options(&[server.address])
    };
    let active = start(&options, Some(state.path()), None).await;
    let items: Vec<(u64, &str, &str)> = (1..=4).map(|id| (id, "count", "1s")).collect();
    server
        .hears("active checks")
        .await
        .answer(&list(&items))
        .await;
    let (mut many, one) = (0, told(&active));
    while many < 12 {
        let data = server.hears_data().await;
        let answer = taken(&data);
        let data = data.answer(&answer).await;
        many += data["data"].as_array().unwrap().len();
        assert_eq!(one.waiting[0].spool().unwrap().depth().items, 0);
    }
}

#[tokio::test]
async fn a_reload_goes_on_with_the_session_and_what_was_on_its_way() {
    let mut server = Server::new().await;
    let options = options(&[server.address]);
    let active = start(&options, None, None).await;
    server
        .hears("active checks")
        .await
        .answer(&list(&[(1, "count", "1s")]))
        .await;
    let unanswered = server.hears_data().await;
    let active = start(&options, None, Some(active)).await;
    let again = server.hears("agent data").await;
    assert_eq!(again.request["session"], unanswered.request["session"]);
    assert_eq!(again.request["data"][0], unanswered.request["data"][0]);
    assert_eq!(
        &*told(&active).waiting[0].session(),
        again.request["session"].as_str().unwrap()
    );
}
