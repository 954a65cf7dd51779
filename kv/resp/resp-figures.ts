// Counts of one RESP server since it started: what INFO stats shows and what metrics read.
// Plain numbers that the clients add to; RespServer.figures() gives a copy.

export class RespFigures {
  /** Connections taken, and refused because there were as many as there may be. */
  connections = 0;
  connectionsRefused = 0;
  commands = 0;
  /** Runs of commands that went to the log or to the state together. */
  runs = 0;
  protocolErrors = 0;
  /** Clients cut because they did not read, or asked for nothing too long. */
  clientsCut = 0;
  clientsIdle = 0;
  messagesPublished = 0;
  bytesReceived = 0;
  defects = 0;

  reset(): void {
    Object.assign(this, new RespFigures());
  }
}
