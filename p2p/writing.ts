import type { MessageStream } from "@libp2p/interface";
import { Uint8ArrayList } from "uint8arraylist";

/** What goes out at once: the most that one message of Noise holds (its specification: 65,535 bytes with a tag of 16). */
const GATHERED_BYTES = 65_519;
/** What is shorter is copied into one piece: a call of the system costs more. */
const JOINED_BYTES = 16 * 1024;

/**
 * Has what is sent on a stream within one round of the event loop go out together: each message that a peer sends may be
 * answered or passed on by a few bytes, and each of these would be encrypted, and given to the system, by itself. `beneath` is the
 * connection that carries the stream, and is closed without it.
 */
export const gatherSends = (stream: MessageStream, beneath: MessageStream): void => {
  const { send } = stream;
  const { close } = beneath;
  // What waits for the peer goes on as the system takes it, and is not encrypted all at once.
  Object.assign(stream, { maxMessageSize: GATHERED_BYTES });
  const gathered = new Uint8ArrayList();
  let isDue = false;
  const flush = (): void => {
    while (gathered.byteLength > 0) {
      const piece = gathered.subarray(0, Math.min(gathered.byteLength, GATHERED_BYTES));
      gathered.consume(piece.length);
      send.call(stream, piece);
    }
  };
  const onDue = (): void => {
    isDue = false;
    try {
      flush();
    } catch (error) {
      stream.abort(error as Error);
    }
  };
  stream.send = (data) => {
    // It throws where nothing more may be sent.
    if (stream.status !== "open") return send.call(stream, data);
    gathered.append(data);
    if (gathered.byteLength >= GATHERED_BYTES) flush();
    else if (!isDue) {
      isDue = true;
      setImmediate(onDue);
    }
    return !stream.writableNeedsDrain;
  };
  beneath.close = (options) => {
    onDue();
    return close.call(beneath, options);
  };
  stream.addEventListener("close", () => gathered.consume(gathered.byteLength), { once: true });
};

/** Has what is short and in pieces go out in one. */
export const joinSends = (stream: MessageStream): void => {
  const { send } = stream;
  stream.send = (data) => send.call(stream, data.byteLength < JOINED_BYTES ? data.subarray() : data);
};
