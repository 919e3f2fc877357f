/** What is Node.js's, and Bun's: the standard streams, memory, signals, and the event loop. */
import * as fs from "node:fs";
import * as net from "node:net";
import process from "node:process";
import * as tty from "node:tty";
import { deferred } from "../deferred.ts";
import type { EventLoop } from "./event_loop.ts";
import type { Input } from "./inbox.ts";
import type { Output } from "./outbox.ts";
import { type MemoryUsage, patient, plainEventLoop } from "./runtime.ts";
import { socketInput, socketOutput } from "./sockets.ts";

/** In Bun a socket on a file descriptor stays silent. */
const HAS_SOCKETS = !("Bun" in globalThis);

/** The command line, without the program's own name. */
export const args: readonly string[] = process.argv.slice(2);

let input: Input | undefined;
/** Where messages come from by default. */
export const stdin: Input = {
  get prompt() {
    return input?.prompt ?? false;
  },
  read: (buffer) => (input ??= openInput()).read(buffer),
};

let output: Output | undefined;
/** Where messages go by default. */
export const stdout: Output = {
  write: (bytes) => (output ??= openOutput()).write(bytes),
};

/** Where the log goes by default. */
export const stderr: Output = fileOutput(2);

function openInput(): Input {
  try {
    if (HAS_SOCKETS) return socketInput(openSocket, eventLoop);
  } catch { /* neither pipe nor socket */ }
  return fileInput(0);
}

function openOutput(): Output {
  try {
    if (HAS_SOCKETS) {
      return socketOutput(
        new net.Socket({ fd: 1, readable: false, writable: true }),
      );
    }
  } catch { /* neither pipe nor socket */ }
  return fileOutput(1);
}

/** A pipe, a socket or a terminal as a socket. */
function openSocket(
  options: net.SocketConstructorOpts & { fd: number },
): net.Socket {
  return tty.isatty(options.fd)
    ? new tty.ReadStream(options.fd, options)
    : new net.Socket(options);
}

/** Reads by another thread. */
function fileInput(fd: number): Input {
  return {
    read: (buffer) =>
      new Promise((resolve, reject) =>
        fs.read(
          fd,
          buffer,
          0,
          buffer.length,
          null,
          (error, count) =>
            error ? reject(error) : resolve(count === 0 ? null : count),
        )
      ),
  };
}

/** Writes by another thread. */
function fileOutput(fd: number): Output {
  return patient((bytes) =>
    new Promise((resolve, reject) =>
      fs.write(
        fd,
        bytes,
        (error, count) => error ? reject(error) : resolve(count),
      )
    )
  );
}

/** How much memory is used. */
export function memoryUsage(): MemoryUsage {
  return process.memoryUsage();
}

/** Resolves with the name of the first signal that asks for the end, from now until `stop`. */
export function onSignals(): { received: Promise<string>; stop: () => void } {
  const names = ["SIGINT", "SIGTERM"] as const;
  const { promise, resolve } = deferred<string>();
  for (const name of names) process.on(name, resolve);
  return {
    received: promise,
    stop: () => {
      for (const name of names) process.off(name, resolve);
    },
  };
}

/** The event loop. */
export const eventLoop: EventLoop = {
  ...plainEventLoop,
  // A tick comes after all promises only if it is asked for by one of them.
  settled: (fn) => queueMicrotask(() => process.nextTick(fn)),
};
