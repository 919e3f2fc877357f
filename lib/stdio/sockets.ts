/** Pipes as sockets, in each runtime: read and written by readiness, without another thread. */
import type * as Net from "node:net";
import { type Deferred, deferred } from "../deferred.ts";
import type { EventLoop } from "./event_loop.ts";
import { type Input, READ_BYTES } from "./inbox.ts";
import type { Output } from "./outbox.ts";

/**
 * Reads stdin whenever it can be read and is asked for.
 *
 * @param open Makes the socket; throws where that can't be.
 * @param loop The event loop.
 */
export function socketInput(
  open: (options: Net.SocketConstructorOpts & { fd: number }) => Net.Socket,
  loop: EventLoop,
): Input {
  const room = new Uint8Array(READ_BYTES);
  let buffer: Uint8Array = room;
  let reading: Deferred<number | null> | undefined;
  function end(count: number | null): void {
    reading?.resolve(count);
    reading = undefined;
  }
  const socket = open({
    fd: 0,
    readable: true,
    writable: false,
    onread: {
      buffer: room,
      callback(count) {
        buffer.set(room.subarray(0, count));
        end(count);
        // Cheaper than to stop at once and start again with the next read.
        loop.settled(() => {
          if (reading === undefined) socket.pause();
        });
        return true;
      },
    },
  });
  socket.on("end", () => end(null));
  socket.on("error", (error) => reading?.reject(error));
  return {
    prompt: true,
    read(into) {
      buffer = into;
      reading = deferred();
      if (socket.isPaused()) socket.resume();
      return reading.promise;
    },
  };
}

/** Writes to a socket what it takes, and the rest when it takes more. */
export function socketOutput(socket: Net.Socket): Output {
  socket.on("error", () => {}); // the write that failed tells
  return {
    write: (bytes) =>
      new Promise((resolve, reject) =>
        socket.write(
          bytes,
          (error) => error ? reject(error) : resolve(bytes.length),
        )
      ),
  };
}
