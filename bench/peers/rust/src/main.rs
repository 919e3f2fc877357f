//! The exercise's messages on the `maelstrom-node` crate, with its own timeout
//! of an RPC: a context.

use async_trait::async_trait;
use maelstrom::protocol::Message;
use maelstrom::{done, Error, Node, Result, Runtime};
use serde_json::{json, Value};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::Arc;
use std::time::Duration;
use tokio_context::context::Context;

fn main() -> Result<()> {
    let timeout_ms = std::env::var("RPC_TIMEOUT_MS").map_or(2000, |ms| ms.parse().unwrap());
    Runtime::init(async move {
        let handler = Arc::new(Handler {
            counts: Arc::default(),
            timeout: Duration::from_millis(timeout_ms),
        });
        Runtime::new().with_handler(handler).run().await
    })
}

#[derive(Default)]
struct Counts {
    pending: AtomicU64,
    reaped: AtomicU64,
}

struct Handler {
    counts: Arc<Counts>,
    timeout: Duration,
}

#[async_trait]
impl Node for Handler {
    async fn process(&self, runtime: Runtime, req: Message) -> Result<()> {
        match req.get_type() {
            "echo" => {
                let echo = req.body.clone().with_type("echo_ok");
                runtime.reply(req, echo).await
            }
            "send_fire_forget" => {
                let target = req.body.extra["target"].as_str().unwrap().to_string();
                let payload: Value = req.body.extra["payload"].clone();
                let pending = self.counts.pending.fetch_add(1, Relaxed) + 1;
                let (counts, timeout) = (self.counts.clone(), self.timeout);
                // Sent before the reply, as the exercise asks; waited for beside it.
                let mut call = runtime.rpc(target, payload).await?;
                runtime.spawn(async move {
                    let (context, _handle) = Context::with_timeout(timeout);
                    let result = call.done_with(context).await;
                    counts.pending.fetch_sub(1, Relaxed);
                    if let Err(error) = result {
                        if let Some(Error::Timeout) = error.downcast_ref() {
                            counts.reaped.fetch_add(1, Relaxed);
                        }
                    }
                });
                let reply = json!({"type": "send_fire_forget_ok", "pending": pending});
                runtime.reply(req, reply).await
            }
            "stats" => {
                let reply = json!({
                    "type": "stats_ok",
                    "pending": self.counts.pending.load(Relaxed),
                    "reaped": self.counts.reaped.load(Relaxed),
                });
                runtime.reply(req, reply).await
            }
            _ => done(runtime, req),
        }
    }
}
