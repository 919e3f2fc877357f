/** The exercise's messages: they make pending callbacks, and what becomes of them, visible. */
import { ErrorCode, RpcError } from "../errors.ts";
import type { Body } from "../message.ts";
import type { AnyNode, SendBody } from "../node.ts";

/**
 * Sets the handlers of `echo`, `pending_count`, `send_fire_forget` and `stats`.
 *
 * @param node The node.
 */
export function callbacks(node: AnyNode): void {
  node.on("echo", ({ body: { echo } }) => ({ echo }));
  node.on("pending_count", () => ({ count: node.pendingCount }));
  node.on("send_fire_forget", ({ body: { target, payload } }) => {
    if (typeof target !== "string" || target === "") {
      throw malformed("'target' is not a non-empty string");
    }
    if (
      typeof payload !== "object" || payload === null ||
      Array.isArray(payload)
    ) {
      throw malformed("'payload' is not an object");
    }
    const { type, in_reply_to } = payload as Partial<Body>;
    if (typeof type !== "string") {
      throw malformed("'payload.type' is not a string");
    }
    if ((in_reply_to ?? undefined) !== undefined) {
      throw malformed("'payload.in_reply_to' is set, but an RPC is no reply");
    }
    node.rpc(target, payload as SendBody, () => {});
    return { pending: node.pendingCount };
  });
  node.on("stats", () => node.stats());
}

function malformed(text: string): RpcError {
  return new RpcError(
    ErrorCode.malformedRequest,
    `send_fire_forget: ${text}`,
  );
}
