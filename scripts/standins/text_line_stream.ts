/** Stand-in for `@std/streams/text-line-stream` where JSR is out of reach, and in the npm package: the part that Gyre uses. */

/** Cuts a stream of text into lines at `\n` and `\r\n`. */
export class TextLineStream extends TransformStream<string, string> {
  constructor() {
    let tail = "";
    super({
      transform(text, controller) {
        if (!text.includes("\n")) {
          tail += text;
          return;
        }
        if (tail !== "") text = tail + text;
        let start = 0;
        for (
          let end = text.indexOf("\n");
          end !== -1;
          end = text.indexOf("\n", start)
        ) {
          const cut = end > start && text[end - 1] === "\r" ? end - 1 : end;
          controller.enqueue(text.slice(start, cut));
          start = end + 1;
        }
        tail = text.slice(start);
      },
      flush(controller) {
        if (tail !== "") controller.enqueue(tail);
      },
    });
  }
}
