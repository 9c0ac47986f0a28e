//! Sales as rindexer 0.41 writes them, and how far their reader is.

use redis::aio::MultiplexedConnection;
use redis::{Pipeline, RedisResult, Value, cmd, pipe};

/// The group in `examples/deploy/.env.example`.
pub(crate) const GROUP: &str = "auction_api";
/// The streams of `examples/deploy/rindexer.yaml` that sales are written to.
pub(crate) const STREAMS: [&str; 2] = ["auction_sales", "auction_high_value_sales"];
pub(crate) const AUCTIONS: usize = 20;

/// The address of an auction.
pub(crate) fn address(auction: usize) -> String {
    format!("0x{:040x}", 0xa16e_02e8_7b74_usize + auction)
}

fn payload(event: &str, number: usize, auction: usize, paid: &str) -> String {
    let block = number / 3 + 6;
    format!(
        r#"{{"block_number":{block},"event_data":[{{"amountPaid":"{paid}","amountTaken":"1000000000000000000","fromToken":"0xdead00000000000000000000000000000000beef","price":"1250000000000000000","roundId":"1","saleSeq":"{number}","taker":"0x70997970c51812dc3a010c7d01b50e0d17dc79c8","timestamp":"1795410650","toToken":"0x00000000000000000000000000000000000abcde","transaction_information":{{"address":"{}","block_hash":"0x{number:064x}","block_number":{block},"block_timestamp":"0x6b03cada","chain_id":1,"log_index":"0x0","network":"ethereum","transaction_hash":"0x{number:064x}","transaction_index":0}}}}],"event_name":"{event}","event_signature_hash":"0x5d69f2b07c2c254bbce985fed7030b10de0968abf29c45c47fb8a9f8750d8283","message_id":"rindexer_stream__-auction-{event}-ethereum-0-19-blk{block}-chunk-0","network":"ethereum"}}"#,
        address(auction)
    )
}

/// Writes sales, a few at once.
pub(crate) struct Publisher {
    connection: MultiplexedConnection,
    waiting: Pipeline,
    count: usize,
    pub(crate) refused: u64,
}

impl Publisher {
    pub(crate) async fn connect(url: &str) -> Self {
        let client = redis::Client::open(url).unwrap();
        let config = redis::AsyncConnectionConfig::new().set_response_timeout(None);
        let connecting = client.get_multiplexed_async_connection_with_config(&config);
        Self {
            connection: connecting.await.unwrap(),
            waiting: pipe(),
            count: 0,
            refused: 0,
        }
    }

    /// A sale; each fourth is of high value, and so on a stream more.
    pub(crate) async fn sale(&mut self, number: usize, auction: usize) {
        let is_high = number.is_multiple_of(4);
        let paid = if is_high { "1250000000000000000" } else { "7" };
        self.add(STREAMS[0], payload("AuctionSale", number, auction, paid));
        if is_high {
            self.add(
                STREAMS[1],
                payload("high_value_sale", number, auction, paid),
            );
        }
        if self.count >= 32 {
            self.flush().await;
        }
    }

    fn add(&mut self, stream: &str, payload: String) {
        let command = self.waiting.cmd("XADD");
        command.arg(stream).arg("*").arg("payload").arg(payload);
        self.count += 1;
    }

    /// Writes what waits.
    pub(crate) async fn flush(&mut self) {
        if std::mem::take(&mut self.count) == 0 {
            return;
        }
        let mut waiting = std::mem::replace(&mut self.waiting, pipe());
        waiting.ignore_errors();
        let answers: Vec<RedisResult<Value>> =
            waiting.query_async(&mut self.connection).await.unwrap();
        for error in answers.into_iter().filter_map(Result::err) {
            println!("refused: {error}");
            self.refused += 1;
        }
    }

    /// How many entries of the sales are not acknowledged.
    pub(crate) async fn behind(&mut self) -> u64 {
        let mut behind = 0;
        for stream in STREAMS {
            behind += self.group(stream).await.unwrap_or(0);
        }
        behind
    }

    /// Whether every sale that was written has been purged.
    pub(crate) async fn are_purged(&mut self) -> bool {
        self.group(STREAMS[0]).await == Some(0)
    }

    /// Unread and pending entries of the group; `None` where there is no group yet.
    async fn group(&mut self, stream: &str) -> Option<u64> {
        let groups: RedisResult<Vec<std::collections::HashMap<String, Value>>> = cmd("XINFO")
            .arg("GROUPS")
            .arg(stream)
            .query_async(&mut self.connection)
            .await;
        let groups = groups.ok()?;
        let is_ours = |group: &&std::collections::HashMap<String, Value>| {
            group.get("name") == Some(&Value::BulkString(GROUP.into()))
        };
        let ours = groups.iter().find(is_ours)?;
        let number = |name: &str| match ours.get(name) {
            Some(Value::Int(number)) => u64::try_from(*number).ok(),
            _ => None,
        };
        // Unknown is much.
        Some(number("pending")? + number("lag").unwrap_or(u64::MAX / 4))
    }

    pub(crate) async fn length(&mut self, stream: &str) -> u64 {
        let mut length = cmd("XLEN");
        length.arg(stream);
        length.query_async(&mut self.connection).await.unwrap()
    }

    /// What a key takes.
    pub(crate) async fn bytes(&mut self, key: &str) -> u64 {
        let mut usage = cmd("MEMORY");
        usage.arg("USAGE").arg(key).arg("SAMPLES").arg(0);
        let usage: RedisResult<Option<u64>> = usage.query_async(&mut self.connection).await;
        usage.unwrap().unwrap_or(0)
    }
}
