// What a channel counts, and how the counts are called in metrics.
// jbus renders nothing itself: an embedding walks CHANNEL_METRICS and hands the numbers to its Prometheus client.

/** Counts since the channel was opened, but for those that wait now. */
export interface ChannelStats {
  readonly messagesWritten: number;
  readonly bytesWritten: number;
  readonly messagesRead: number;
  readonly bytesRead: number;
  readonly writesWaiting: number;
  readonly writeBytesWaiting: number;
  readonly readsWaiting: number;
  /** Leases that were not released, and records that wait behind them. */
  readonly leasesOut: number;
  /** Operations that passed their deadline. */
  readonly timeouts: number;
  /** Times a write found no room. */
  readonly ringFull: number;
  /** Times the peer rang. */
  readonly wakeups: number;
  /** Times a timer found what no ring had told of: without a doorbell the usual way, with one it should not happen. */
  readonly foundByPolling: number;
  readonly heartbeatsWritten: number;
  readonly heartbeatsRead: number;
  /** Fragments whose message's begin was not seen. */
  readonly fragmentsDropped: number;
  /** Messages whose end never came. */
  readonly messagesTorn: number;
}

export interface ChannelMetric {
  readonly name: string;
  readonly help: string;
  readonly kind: 'counter' | 'gauge';
  readonly field: keyof ChannelStats;
}

function metric(
  kind: 'counter' | 'gauge',
  field: keyof ChannelStats,
  name: string,
  help: string,
): ChannelMetric {
  return { name: `reactor_net_jbus_${name}`, help, kind, field };
}

/** One entry per field of ChannelStats; the channel's name is the label `channel`. */
export const CHANNEL_METRICS: readonly ChannelMetric[] = [
  metric('counter', 'messagesWritten', 'messages_written_total', 'Messages written into the ring.'),
  metric('counter', 'bytesWritten', 'written_bytes_total', 'Payload bytes written.'),
  metric('counter', 'messagesRead', 'messages_read_total', 'Messages read.'),
  metric('counter', 'bytesRead', 'read_bytes_total', 'Payload bytes read.'),
  metric('gauge', 'writesWaiting', 'writes_waiting', 'Writes that wait for room.'),
  metric('gauge', 'writeBytesWaiting', 'writes_waiting_bytes', 'Their payload bytes.'),
  metric('gauge', 'readsWaiting', 'reads_waiting', 'Reads that wait for a message.'),
  metric('gauge', 'leasesOut', 'leases_out', 'Messages lent and not released.'),
  metric('counter', 'timeouts', 'timeouts_total', 'Operations that passed their deadline.'),
  metric('counter', 'ringFull', 'ring_full_total', 'Times a write found no room.'),
  metric('counter', 'wakeups', 'wakeups_total', 'Times the peer rang the doorbell.'),
  metric(
    'counter',
    'foundByPolling',
    'found_by_polling_total',
    'Times a timer found what no ring had told of.',
  ),
  metric('counter', 'heartbeatsWritten', 'heartbeats_written_total', 'Heartbeats written into the ring.'),
  metric('counter', 'heartbeatsRead', 'heartbeats_read_total', 'Heartbeats read.'),
  metric('counter', 'fragmentsDropped', 'fragments_dropped_total', 'Fragments without a begin.'),
  metric(
    'counter',
    'messagesTorn',
    'messages_torn_total',
    'Messages whose end never came; none was delivered.',
  ),
];
