// What the machine is loaded with, from the texts that Linux and nvidia-smi give. Reading them is the caller's.
// Pure. A text that says something else gives null, never a made-up number.

export interface CpuTimes {
  readonly busy: number;
  readonly total: number;
}

/** The first line of /proc/stat: time that all cores worked, and all time, in ticks. Waiting for disks is no work. */
export function cpuTimes(stat: string): CpuTimes | null {
  const line = /^cpu +([\d ]+)$/m.exec(stat)?.[1];
  if (line === undefined) return null;
  // user nice system idle iowait irq softirq steal; guest time is within user.
  const fields = line.trim().split(/ +/).slice(0, 8).map(Number);
  if (fields.length < 4) return null;
  const total = fields.reduce((sum, ticks) => sum + ticks, 0);
  return { busy: total - fields[3]! - (fields[4] ?? 0), total };
}

/** From 0 to 1, between two readings; null when no time passed. */
export function cpuShare(before: CpuTimes, after: CpuTimes): number | null {
  const total = after.total - before.total;
  if (total <= 0) return null;
  return Math.min(1, Math.max(0, (after.busy - before.busy) / total));
}

/** /proc/meminfo: the share of memory that is not available, and what is, in bytes. */
export function memoryUse(
  meminfo: string,
): { readonly share: number; readonly availableBytes: number } | null {
  const total = kilobytes(meminfo, 'MemTotal');
  const available = kilobytes(meminfo, 'MemAvailable');
  if (total === null || available === null || total === 0) return null;
  return { share: 1 - available / total, availableBytes: available * 1024 };
}

export interface GpuUse {
  readonly share: number;
  readonly memoryShare: number;
  readonly celsius: number;
}

/**
 * One line for each card from `nvidia-smi --query-gpu=utilization.gpu,memory.used,memory.total,temperature.gpu
 * --format=csv,noheader,nounits`; cards that tell no numbers are left out.
 */
export function gpuUse(csv: string): GpuUse[] {
  return csv.split('\n').flatMap((line) => {
    const [use, used, total, celsius] = line.split(',').map((field) => Number.parseFloat(field));
    if (![use, used, total, celsius].every(Number.isFinite)) return [];
    return [{ share: use! / 100, memoryShare: total! > 0 ? used! / total! : 0, celsius: celsius! }];
  });
}

/**
 * What each process uses of the cards' computing, from 0 to 1 of one card and more with several, by process id. One line for
 * each from `nvidia-smi pmon -c 1 -s u`: card, process, kind, share in percent; `-` where nothing is known.
 */
export function gpuProcessUse(text: string): Map<number, number> {
  const uses = new Map<number, number>();
  for (const line of text.split('\n')) {
    const [card, pid, , percent] = line.trim().split(/\s+/).map(Number);
    if (![card, pid, percent].every((field) => Number.isFinite(field))) continue;
    uses.set(pid!, (uses.get(pid!) ?? 0) + percent! / 100);
  }
  return uses;
}

function kilobytes(meminfo: string, name: string): number | null {
  const text = new RegExp(`^${name}: +(\\d+) kB$`, 'm').exec(meminfo)?.[1];
  return text === undefined ? null : Number(text);
}
