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

const RPC_TIMEOUT: Duration = Duration::from_secs(2);

fn main() -> Result<()> {
    Runtime::init(async {
        let handler = Arc::new(Handler::default());
        Runtime::new().with_handler(handler).run().await
    })
}

#[derive(Default)]
struct Counts {
    pending: AtomicU64,
    reaped: AtomicU64,
}

#[derive(Default)]
struct Handler {
    counts: Arc<Counts>,
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
                let counts = self.counts.clone();
                // Sent before the reply, as the exercise asks; waited for beside it.
                let mut call = runtime.rpc(target, payload).await?;
                runtime.spawn(async move {
                    let (context, _handle) = Context::with_timeout(RPC_TIMEOUT);
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
