/** A space-time diagram of a simulation, drawn from its trace. */
import { isDefinite } from "../../errors.ts";
import { show } from "../../message.ts";
import { describeFault, type Fault } from "../world/fault.ts";

/** An event of a trace. */
interface TraceEvent {
  t: number;
  e: string;
  m?: number;
  src?: string;
  dest?: string;
  body?: { type: string; in_reply_to?: number; [key: string]: unknown };
  node?: string;
  id?: number;
  how?: string;
  fault?: number;
  kind?: string;
  check?: string;
  text?: string;
  why?: string;
}

/** What is drawn of a message. */
interface Arrow {
  event: TraceEvent;
  fromY: number;
  toY: number;
  end: "recv" | "lost" | "open";
  why: string | undefined;
}

/** A stretch of a lane: a callback that waits, a node that is down or paused. */
interface Span {
  node: string;
  fromY: number;
  toY: number;
  kind: string;
  title: string;
  slot: number;
}

/** Where a label is: its beginning, or its end where it is not to the right of its lane. */
interface Label {
  x: number;
  y: number;
  width: number;
  right: boolean;
}

const LANE_GAP = 150;
const LEFT = 110;
const SLOT = 5;
const MAX_SLOTS = 9;
/** How far a label is from its lane, to the right: clear of the bars, which are there. */
const AWAY = 58;
const LINE_HEIGHT = 13;
/** Viewers and browsers draw nothing that is higher. */
const MAX_HEIGHT = 32_767;
const BOTTOM = 30;
/** How wide a letter is, at most, in a font of so many px. */
const LETTER = 0.62;
const LABEL_PX = 8.5;
const NOTE_PX = 10;
const FAILED = "#d93025";
const REFUSED = "#b06000";
/** Hues apart from each other, and from the red and green of the bars. */
const COLOURS = [
  "#1f6fb4",
  "#b8860b",
  "#7b4ab3",
  "#0f8b8d",
  "#c2410c",
  "#4d5b6b",
  "#a61e69",
  "#2f5d1e",
  "#5b6ee1",
  "#8a5a2b",
];
const BAR_COLOURS: Record<string, string> = {
  replied: "#34a853",
  reaped: "#d93025",
  cancelled: "#9aa0a6",
};

/** What of a trace is drawn. */
export interface DiagramOptions {
  /**
   * From which time on, in ms.
   *
   * @default {0}
   */
  fromMs?: number | undefined;
  /**
   * Until which time, in ms; no earlier than `fromMs`.
   *
   * @default {Infinity}
   */
  toMs?: number | undefined;
  /**
   * The ids of the clients, nodes and services that are drawn, each of which is in the trace.
   *
   * @default all
   */
  lanes?: readonly string[] | undefined;
}

/**
 * Draws a trace as SVG: time runs downwards, each client, node and service has
 * a lane, each message is an arrow coloured by its type. One that was lost
 * ends in a cross. An error is red, or brown where it certainly means that
 * nothing was done. A thin bar beside a node's lane is a callback that waits:
 * green if it ended with its reply, red if it was reaped.
 *
 * Time is not to scale: each event has a row of its own, and a gap in which
 * nothing happened is cut short. The axis says what time it is. What is higher
 * than 32,767 px, which is what viewers take, is the first page of several,
 * and says so: {@linkcode diagrams} has them all.
 *
 * @example
 * ```ts
 * import { callbacks } from "@gyre/node";
 * import { callbacksWorkload, diagram, Simulation } from "@gyre/node/sim";
 * import { assertEquals } from "@std/assert";
 *
 * const trace: string[] = [];
 * await new Simulation({
 *   seed: 1,
 *   setUp: callbacks,
 *   workload: callbacksWorkload,
 *   operations: 5,
 *   onTrace: (line) => trace.push(line),
 * }).run();
 * assertEquals(diagram(trace).startsWith("<svg"), true);
 * ```
 *
 * @param trace The lines of a trace.
 * @param options What of it is drawn.
 * @throws {RangeError} An option is out of range.
 */
export function diagram(
  trace: Iterable<string>,
  options: DiagramOptions = {},
): string {
  return diagrams(trace, options)[0]!;
}

/**
 * Draws a trace as {@linkcode diagram} does, on as many pages as it needs.
 *
 * @param trace The lines of a trace.
 * @param options What of it is drawn.
 * @returns Each page's SVG, at least one.
 * @throws {RangeError} An option is out of range.
 */
export function diagrams(
  trace: Iterable<string>,
  options: DiagramOptions = {},
): string[] {
  const events = [...trace].map((line) => JSON.parse(line));
  return new Drawing(events, options).pages();
}

class Drawing {
  /** The labels on the page that is drawn. */
  readonly #labels: Label[] = [];
  readonly #events: TraceEvent[];
  readonly #ys: number[] = [];
  readonly #lanes: Map<string, number> = new Map();
  readonly #colours: Map<string, string> = new Map();
  readonly #arrows: Arrow[] = [];
  readonly #spans: Span[] = [];
  readonly #notes: { y: number; text: string; colour: string }[] = [];
  /** Messages between lanes that are not drawn, such as `init`. */
  readonly #hidden: Set<number> = new Set();
  readonly #dense: boolean;
  readonly #window: { fromMs: number; toMs: number };
  #width = 0;
  #height = 0;

  constructor(events: TraceEvent[], options: DiagramOptions) {
    const { fromMs = 0, toMs = Infinity, lanes } = options;
    if (!(fromMs >= 0 && toMs >= fromMs)) {
      throw new RangeError(
        `'fromMs' must be from 0, and no later than 'toMs': current values are ${fromMs} and ${toMs}`,
      );
    }
    this.#window = { fromMs, toMs };
    this.#events = events.filter(({ e }) => e !== "complete");
    const messages =
      events.filter(({ e, t }) => e === "send" && t >= fromMs && t <= toMs)
        .length;
    this.#dense = messages > 300;
    this.#findLanes(lanes);
    this.#findColours();
    this.#findWidth();
    this.#layOut();
    this.#collect();
  }

  /** One page below the other, each no higher than viewers take. */
  pages(): string[] {
    const { fromMs, toMs } = this.#window;
    const first = this.#events.findIndex(({ t }) => t >= fromMs);
    const beyond = this.#events.findIndex(({ t }) => t > toMs);
    const top = first > 0 ? this.#ys[first]! - LINE_HEIGHT : 0;
    const bottom = beyond === -1 ? this.#height : this.#ys[beyond]!;
    const room = MAX_HEIGHT - this.#legend().height - BOTTOM;
    const count = Math.max(1, Math.ceil((bottom - top) / room));
    return Array.from({ length: count }, (_, i) => {
      const from = top + i * room;
      return this.#page(from, Math.min(from + room, bottom), i + 1, count);
    });
  }

  #page(from: number, to: number, number: number, count: number): string {
    this.#labels.length = 0;
    const width = this.#width;
    const { parts: legend, height: top } = this.#legend();
    const inside = Math.max(1, round(to - from));
    const height = top + inside + BOTTOM;
    const seen = (fromY: number, toY: number) => toY >= from && fromY <= to;
    const parts = [
      `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="ui-sans-serif, Helvetica, Arial, sans-serif" font-size="11">`,
      `<rect width="${width}" height="${height}" fill="#fff"/>`,
      ...this.#drawMarkers(),
      ...legend,
      count === 1
        ? ""
        : `<text x="20" y="12" font-weight="700">page ${number} of ${count}</text>`,
      `<svg y="${top}" width="${width}" height="${inside}" viewBox="0 ${
        round(from)
      } ${width} ${inside}">`,
      ...this.#drawAxis(from, to),
      ...this.#notes.filter(({ y }) => seen(y - 100, y))
        .map((note) => this.#drawNote(note)),
      ...this.#drawLanes(from, to),
      ...this.#spans.filter(({ fromY, toY }) => seen(fromY, toY))
        .map((span) => this.#drawSpan(span)),
      ...this.#arrows.filter(({ fromY, toY }) => seen(fromY, toY))
        .map((arrow) => this.#drawArrow(arrow)),
      "</svg>",
      "</svg>",
    ];
    return parts.filter((part) => part !== "").join("\n") + "\n";
  }

  /** As wide as its lanes, and as what is written beside them. */
  #findWidth(): void {
    const longest = [...this.#colours.keys()]
      .reduce((most, type) => Math.max(most, type.length + 3), 0);
    const last = LEFT + (this.#lanes.size - 1) * LANE_GAP + 50;
    const names = [...this.#lanes].map(([id, x]) =>
      x + id.length * 12 * LETTER
    );
    this.#width = Math.ceil(Math.max(
      LEFT + this.#lanes.size * LANE_GAP + 40,
      last - LANE_GAP + AWAY + longest * LABEL_PX * LETTER + 10,
      ...names,
      48 + longest * 7 + 20,
    ));
  }

  /** Clients to the left, then nodes, then services and those that don't exist. */
  #findLanes(wanted: readonly string[] | undefined): void {
    const nodes = new Set<string>();
    const others = new Set<string>();
    for (const { e, node, src, dest } of this.#events) {
      if (e === "start") nodes.add(node!);
      if (e !== "send") continue;
      for (const id of [src!, dest!]) others.add(id);
    }
    const isClient = (id: string) => /^c\d+$/.test(id);
    const byNumber = (a: string, b: string) =>
      a.length - b.length || (a < b ? -1 : 1);
    const rest = [...others].filter((id) => !nodes.has(id) && id !== "c0");
    const lanes = [
      ...rest.filter(isClient).sort(byNumber),
      ...[...nodes].sort(byNumber),
      ...rest.filter((id) => !isClient(id)).sort(),
    ];
    const unknown = wanted?.find((id) => !lanes.includes(id));
    if (unknown !== undefined) {
      throw new RangeError(
        `'lanes' has ${show(unknown)}, but in the trace are ${
          lanes.join(", ")
        }`,
      );
    }
    const drawn = lanes.filter((id) => wanted?.includes(id) ?? true);
    drawn.forEach((id, i) => this.#lanes.set(id, LEFT + i * LANE_GAP + 50));
  }

  #findColours(): void {
    for (const { e, body, src, dest } of this.#events) {
      if (e === "send" && this.#lanes.has(src!) && this.#lanes.has(dest!)) {
        this.#colourOf(body!);
      }
    }
  }

  /** A reply has its request's colour, unless it is an error. */
  #colourOf({ type, code }: { type: string; code?: unknown }): string {
    const base = type.replace(/_ok$/, "");
    if (base === "error") return isDefinite(Number(code)) ? REFUSED : FAILED;
    let colour = this.#colours.get(base);
    if (colour === undefined) {
      colour = COLOURS[this.#colours.size % COLOURS.length]!;
      this.#colours.set(base, colour);
    }
    return colour;
  }

  #layOut(): void {
    const row = this.#dense ? 4 : 9;
    let y = 24;
    let last = this.#events[0]?.t ?? 0;
    for (const event of this.#events) {
      const gap = event.t - last;
      if (gap > 0) y += Math.min(3 * row, row * Math.log2(1 + gap) / 3);
      y += this.#rowOf(event, row);
      this.#ys.push(y);
      last = event.t;
    }
    this.#height = y + 20;
  }

  /** How much room an event needs. */
  #rowOf(event: TraceEvent, row: number): number {
    const { e, m, src, dest, node } = event;
    switch (e) {
      case "send":
        if (!this.#lanes.has(src!) || !this.#lanes.has(dest!)) {
          this.#hidden.add(m!);
        }
        return this.#hidden.has(m!) ? 0 : row;
      case "recv":
      case "lost":
        return this.#hidden.has(m!) ? 0 : row;
      case "rpc":
      case "end":
        return this.#lanes.has(node!) ? row / 3 : 0;
      case "heal":
        return LINE_HEIGHT;
      case "fault":
        return this.#wrap(faultNote(event)).length * LINE_HEIGHT;
      case "violation":
        return this.#wrap(violationNote(event)).length * LINE_HEIGHT;
      default:
        return 0;
    }
  }

  #collect(): void {
    const open = new Map<number, Arrow>();
    const waiting = new Map<string, Span>();
    const down = new Map<string, Span>();
    const faults = new Map<number, TraceEvent>();
    this.#events.forEach((event, i) => {
      const y = this.#ys[i]!;
      const { e, m, node, id, how, fault, kind, why } = event;
      switch (e) {
        case "send": {
          const arrow: Arrow = {
            event,
            fromY: y,
            toY: y,
            end: "open",
            why: undefined,
          };
          open.set(m!, arrow);
          if (!this.#hidden.has(m!)) this.#arrows.push(arrow);
          break;
        }
        case "recv":
        case "lost": {
          let arrow = open.get(m!)!;
          if (arrow.end !== "open" && !this.#hidden.has(m!)) { // it arrived before: this is its double
            arrow = { ...arrow };
            this.#arrows.push(arrow);
          }
          Object.assign(arrow, { toY: y, end: e, why });
          break;
        }
        case "rpc": {
          const used = new Set(
            [...waiting.values()].filter((span) => span.node === node)
              .map(({ slot }) => slot),
          );
          let slot = 0;
          while (used.has(slot)) slot++;
          const title = `${node}: RPC ${id} waits from ${event.t} ms`;
          waiting.set(`${node} ${id}`, {
            node: node!,
            fromY: y,
            toY: y,
            kind: "cancelled",
            title,
            slot,
          });
          break;
        }
        case "end": {
          const span = waiting.get(`${node} ${id}`);
          if (span === undefined) break;
          waiting.delete(`${node} ${id}`);
          span.title += ` to ${event.t} ms: ${how}`;
          this.#spans.push({ ...span, toY: y, kind: how! });
          break;
        }
        case "fault":
          faults.set(fault!, event);
          this.#note(y, faultNote(event), "#7a4b00");
          if (kind === "crash" || kind === "pause") {
            const title = `${node}: ${kind}`;
            const at = { node: node!, fromY: y, toY: y };
            down.set(`${fault}`, { ...at, kind, title, slot: 0 });
          }
          if (kind === "crash") this.#endAll(waiting, node!, y);
          break;
        case "heal": {
          const begun = faults.get(fault!);
          if (begun === undefined) break;
          this.#note(y, `${event.t} ms: ${begun.kind} ends`, "#5f6368");
          const span = down.get(`${fault}`);
          if (span) this.#spans.push({ ...span, toY: y });
          down.delete(`${fault}`);
          break;
        }
        case "violation":
          this.#note(y, violationNote(event), FAILED);
      }
    });
    const end = this.#height - 20;
    for (const span of [...waiting.values(), ...down.values()]) {
      this.#spans.push({ ...span, toY: end });
    }
  }

  #endAll(waiting: Map<string, Span>, node: string, y: number): void {
    for (const [key, span] of waiting) {
      if (span.node !== node) continue;
      waiting.delete(key);
      span.title += ": lost in a crash";
      this.#spans.push({ ...span, toY: y });
    }
  }

  #note(y: number, text: string, colour: string): void {
    this.#notes.push({ y, text, colour });
  }

  #drawMarkers(): string[] {
    const colours = new Set([...this.#colours.values(), FAILED, REFUSED]);
    const size = this.#dense ? 5 : 6;
    return [
      "<defs>",
      ...[...colours].map((colour) =>
        `<marker id="a${
          colour.slice(1)
        }" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="${size}" markerHeight="${size}" orient="auto-start-reverse"><path d="M0 0L8 4L0 8z" fill="${colour}"/></marker>`
      ),
      "</defs>",
    ];
  }

  #legend(): { parts: string[]; height: number } {
    const width = this.#width;
    const entries: [mark: string, text: string][] = [
      ...[
        ...this.#colours,
        ["refused", REFUSED],
        ["failed, or nobody knows", FAILED],
      ].map(([type, colour]): [string, string] => [
        `<line x1="0" y1="-4" x2="22" y2="-4" stroke="${colour}" stroke-width="2" marker-end="url(#a${
          colour!.slice(1)
        })"/>`,
        type!,
      ]),
      [
        `<line x1="0" y1="-4" x2="22" y2="-4" stroke="#555" stroke-dasharray="4 2"/>`,
        "reply",
      ],
      [`<g transform="translate(11 -4)">${cross(FAILED)}</g>`, "lost"],
      ...Object.entries(BAR_COLOURS).map(([how, colour]): [string, string] => [
        `<rect x="9" y="-10" width="3" height="12" fill="${colour}"/>`,
        how === "cancelled" ? "RPC lost in a crash" : `RPC ${how}`,
      ]),
      [
        `<rect x="6" y="-10" width="10" height="12" fill="#5f6368" opacity="0.45"/>`,
        "node down or paused",
      ],
    ];
    let x = 20;
    let rows = 1;
    const parts = entries.map(([mark, text]) => {
      const wide = 48 + text.length * 7;
      if (x + wide > width && x > 20) {
        x = 20;
        rows++;
      }
      const part = `<g transform="translate(${x} ${
        4 + rows * 18
      })">${mark}<text x="28">${escape(text)}</text></g>`;
      x += wide;
      return part;
    });
    return { parts, height: 30 + rows * 18 };
  }

  #drawAxis(from: number, to: number): string[] {
    const width = this.#width;
    const parts: string[] = [];
    let lastY = -Infinity;
    let lastT = NaN;
    this.#events.forEach(({ t, e, m }, i) => {
      const y = this.#ys[i]!;
      const drawn = /^(send|recv|lost|end)$/.test(e) &&
        !this.#hidden.has(m!) && y >= from && y <= to;
      if (!drawn || t === lastT || y - lastY < (this.#dense ? 30 : 22)) return;
      lastT = t;
      lastY = y;
      parts.push(
        `<line x1="${LEFT - 30}" y1="${round(y)}" x2="${width - 20}" y2="${
          round(y)
        }" stroke="#f0f1f3"/><text x="${LEFT - 36}" y="${
          round(y + 3)
        }" text-anchor="end" fill="#80868b" font-size="10">${
          t.toFixed(t < 10_000 ? 1 : 0)
        } ms</text>`,
      );
    });
    return parts;
  }

  /** A text in lines that are no longer than the drawing is wide. */
  #wrap(text: string): string[] {
    const most = Math.floor((this.#width - 24) / (NOTE_PX * LETTER));
    const lines: string[] = [];
    let rest = text;
    while (rest.length > most) {
      const space = rest.lastIndexOf(" ", most);
      const end = space > 0 ? space : most;
      lines.push(rest.slice(0, end));
      rest = rest.slice(end).trimStart();
    }
    return [...lines, rest];
  }

  #drawNote({ y, text, colour }: { y: number; text: string; colour: string }) {
    const lines = this.#wrap(text);
    const spans = lines.map((line, i) =>
      `<tspan x="12" y="${
        round(y - 3 - (lines.length - 1 - i) * LINE_HEIGHT)
      }">${escape(line)}</tspan>`
    );
    return `<line x1="8" y1="${round(y)}" x2="${this.#width - 8}" y2="${
      round(y)
    }" stroke="${colour}" stroke-opacity="0.35"/><text fill="${colour}" font-size="${NOTE_PX}" font-weight="600" paint-order="stroke" stroke="#fff" stroke-width="3">${
      spans.join("")
    }</text>`;
  }

  #drawLanes(from: number, to: number): string[] {
    // The names again now and then: a long diagram is looked at in parts.
    const headings = [round(from + 14)];
    for (let y = from + 1214; y < to - 200; y += 1200) headings.push(round(y));
    return [...this.#lanes].flatMap(([id, x]) => [
      `<line x1="${x}" y1="${round(from + 20)}" x2="${x}" y2="${
        round(to)
      }" stroke="#bdc1c6"/>`,
      ...headings.map((y) =>
        `<text x="${x}" y="${y}" text-anchor="middle" font-size="12" font-weight="700" fill="#202124" paint-order="stroke" stroke="#fff" stroke-width="4">${
          escape(id)
        }</text>`
      ),
    ]);
  }

  #drawSpan({ node, fromY, toY, kind, title, slot }: Span): string {
    const x = this.#lanes.get(node);
    if (x === undefined) return "";
    const place = `y="${round(fromY)}" height="${
      round(Math.max(1.5, toY - fromY))
    }"><title>${escape(title)}</title></rect>`;
    if (kind === "crash" || kind === "pause") {
      return `<rect x="${x - 5}" width="10" fill="#5f6368" opacity="${
        kind === "crash" ? 0.6 : 0.3
      }" ${place}`;
    }
    const left = x + 5 + Math.min(slot, MAX_SLOTS) * SLOT;
    return `<rect x="${left}" width="3" fill="${BAR_COLOURS[kind]}" ${place}`;
  }

  #drawArrow({ event, fromY, toY, end, why }: Arrow): string {
    const { src, dest, body, t, m } = event;
    const from = this.#lanes.get(src!)!;
    const to = this.#lanes.get(dest!)!;
    const { type } = body!;
    const colour = this.#colourOf(body!);
    const reply = body!.in_reply_to !== undefined;
    const style = `stroke="${colour}" stroke-width="${
      this.#dense ? 1 : 1.3
    }" fill="none"${reply ? ' stroke-dasharray="5 2"' : ""}${
      end === "recv" ? ` marker-end="url(#a${colour.slice(1)})"` : ""
    }`;
    const title = `<title>${
      escape(
        `${t} ms: message ${m} ${src} to ${dest}${
          end === "lost"
            ? `, lost: ${why}`
            : end === "open"
            ? ", on its way"
            : ""
        }\n${JSON.stringify(body)}`,
      )
    }</title>`;
    if (from === to) return this.#drawLoop(from, fromY, toY, style, title);
    // What is lost gets part of the way only.
    const part = end === "recv" ? 1 : 0.55;
    const x = from + (to - from) * part;
    const y = end === "open" ? fromY + 8 : toY;
    const mark = end === "lost"
      ? `<g transform="translate(${round(x)} ${round(y)})">${cross(FAILED)}</g>`
      : "";
    return `<g>${title}<line x1="${from}" y1="${round(fromY)}" x2="${
      round(x)
    }" y2="${round(y)}" ${style}/>${mark}${
      this.#dense ? "" : label(from, fromY, to, toY, type, colour, this.#labels)
    }</g>`;
  }

  #drawLoop(
    x: number,
    fromY: number,
    toY: number,
    style: string,
    title: string,
  ): string {
    const out = x - 26;
    return `<path d="M${x} ${round(fromY)}C${out} ${round(fromY)} ${out} ${
      round(toY)
    } ${x} ${round(toY)}" ${style}>${title}</path>`;
  }
}

/** A message's type beside the beginning of its arrow, or further on where there is another one. */
function label(
  from: number,
  fromY: number,
  to: number,
  toY: number,
  type: string,
  colour: string,
  others: Label[],
): string {
  const right = to > from;
  const slope = (toY - fromY) / Math.abs(to - from);
  const width = type.length * LABEL_PX * LETTER;
  const place = (away: number): Label => ({
    x: right ? from + away : Math.max(from - away, 4 + width),
    y: fromY + slope * away - 2,
    width,
    right,
  });
  const first = right ? AWAY : 10;
  let [at, away] = [place(first), first];
  while (
    others.some((other) => overlaps(at, other)) &&
    away + 2 * width < Math.abs(to - from)
  ) at = place(away += width / 2);
  others.push(at);
  const { x, y } = at;
  return `<text x="${round(x)}" y="${
    round(y)
  }" font-size="${LABEL_PX}" fill="${colour}"${
    right ? "" : ' text-anchor="end"'
  } paint-order="stroke" stroke="#fff" stroke-width="2.5">${
    escape(type)
  }</text>`;
}

function overlaps(a: Label, b: Label): boolean {
  const left = ({ x, width, right }: Label) => right ? x : x - width;
  return Math.abs(a.y - b.y) < LABEL_PX &&
    left(a) < left(b) + b.width && left(b) < left(a) + a.width;
}

function faultNote({ t, e: _, fault: __, ...what }: TraceEvent): string {
  return `${t} ms: ${describeFault(what as unknown as Fault)}`;
}

function violationNote({ t, check, text }: TraceEvent): string {
  return `${t} ms: ${check}: ${text}`;
}

function cross(colour: string): string {
  return `<path d="M-3.5 -3.5L3.5 3.5M3.5 -3.5L-3.5 3.5" stroke="${colour}" stroke-width="2"/>`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;").replaceAll('"', "&quot;")
    // Control characters are not allowed in XML, not even escaped.
    .replace(/[^\P{Cc}\n\t]/gu, "?");
}
