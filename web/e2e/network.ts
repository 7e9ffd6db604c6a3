import net, { type AddressInfo, type Socket } from "node:net";

/** The connection between browser and console, which a test can cut and restore. */
export class Network {
  /** The address that the browser uses. */
  url = "";
  /** Whether the test has cut the connection before now. */
  wasCut = false;
  private readonly sockets = new Set<Socket>();
  private server = this.listener();

  /** Forwards connections to the console at target as soon as start is called. */
  constructor(private readonly target: URL) {}

  async start() {
    await this.listen(0);
    this.url = `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Ends all connections; new connections are refused until reconnect. */
  async cut() {
    this.wasCut = true;
    await this.stop();
  }

  async reconnect() {
    this.server = this.listener();
    await this.listen(Number(new URL(this.url).port));
  }

  async stop() {
    await new Promise((done) => {
      this.server.close(done);
      for (const s of this.sockets) s.destroy();
    });
  }

  private listen(port: number) {
    return new Promise<void>((done) => this.server.listen(port, "127.0.0.1", done));
  }

  private listener() {
    return net.createServer((client) => {
      const upstream = net.connect(Number(this.target.port), this.target.hostname);
      for (const s of [client, upstream]) {
        this.sockets.add(s);
        s.on("error", () => s.destroy());
        s.on("close", () => this.sockets.delete(s));
      }
      client.pipe(upstream).pipe(client);
      client.on("close", () => upstream.destroy());
      upstream.on("close", () => client.destroy());
    });
  }
}
