import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import t from "tap";
import { endInTurns } from "../../rpc/refusals.ts";

t.test("connections that are late together are told so, a few in one go", async (t) => {
  const COUNT = 300;
  const server = createServer({ connectionsCheckingInterval: 2_000 });
  server.headersTimeout = 500;
  endInTurns(server);
  let endedNow = 0;
  const ended: number[] = [];
  server.on("connection", (socket) =>
    socket.once("close", () => {
      if (endedNow++ === 0)
        setImmediate(() => {
          ended.push(endedNow);
          endedNow = 0;
        });
    }),
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  const answers = await Promise.all(
    Array.from(
      { length: COUNT },
      () =>
        new Promise<string>((resolve) => {
          let text = "";
          const socket = connect(port, "127.0.0.1", () => void socket.write("GET / HTTP/1.1\r\n"));
          socket.on("data", (data) => {
            text += data;
          });
          socket.on("close", () => resolve(text));
        }),
    ),
  );
  t.ok(answers.every((answer) => answer.startsWith("HTTP/1.1 408 Request Timeout")));
  t.equal(
    ended.reduce((sum, each) => sum + each, 0),
    COUNT,
  );
  t.ok(Math.max(...ended) <= 64, `${Math.max(...ended)} in one go`);
});
