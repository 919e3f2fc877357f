/**
 * A simulated network of real nodes: virtual time, every fault, and one seed
 * that a run follows from, to the byte.
 *
 * @module
 */
export { EventQueue } from "../event_queue.ts";
export {
  canonical,
  type Chooser,
  LinKv,
  LinTso,
  LwwKv,
  maelstromServices,
  SeqKv,
  type Service,
} from "./services.ts";
