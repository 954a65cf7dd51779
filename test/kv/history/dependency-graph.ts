// Who must come before whom, and the cycles in it: strongly connected components after Tarjan, then the shortest
// cycle through an edge by breadth-first search. list-append.ts builds the graph; vertices are numbers from 0.

/** ww: wrote the version before; wr: wrote what was read; rw: read the version before; rt: returned before the call. */
export type EdgeKind = 'ww' | 'wr' | 'rw' | 'rt';

export interface Edge {
  readonly from: number;
  readonly to: number;
  readonly kind: EdgeKind;
  /** The key it is about; empty for rt. */
  readonly key: string;
}

export class DependencyGraph {
  readonly #edges: Edge[][];

  constructor(vertexCount: number) {
    this.#edges = Array.from({ length: vertexCount }, () => []);
  }

  add(from: number, to: number, kind: EdgeKind, key = ''): void {
    if (from !== to) this.#edges[from]!.push({ from, to, kind, key });
  }

  /** Components of more than one vertex when only edges of these kinds count. */
  components(kinds: ReadonlySet<EdgeKind>): number[][] {
    const count = this.#edges.length;
    const order = new Int32Array(count).fill(-1);
    const low = new Int32Array(count);
    const open = new Uint8Array(count);
    const stack: number[] = [];
    const found: number[][] = [];
    let visited = 0;
    for (let root = 0; root < count; root += 1) {
      if (order[root] !== -1) continue;
      const walk: { vertex: number; edge: number }[] = [];
      const enter = (vertex: number): void => {
        order[vertex] = low[vertex] = visited;
        visited += 1;
        open[vertex] = 1;
        stack.push(vertex);
        walk.push({ vertex, edge: 0 });
      };
      enter(root);
      while (walk.length > 0) {
        const top = walk.at(-1)!;
        const edge = this.#edges[top.vertex]![top.edge];
        if (edge !== undefined) {
          top.edge += 1;
          if (!kinds.has(edge.kind)) continue;
          if (order[edge.to] === -1) enter(edge.to);
          else if (open[edge.to] === 1) low[top.vertex] = Math.min(low[top.vertex]!, order[edge.to]!);
          continue;
        }
        walk.pop();
        const parent = walk.at(-1);
        if (parent !== undefined) low[parent.vertex] = Math.min(low[parent.vertex]!, low[top.vertex]!);
        if (low[top.vertex] !== order[top.vertex]) continue;
        const component = stack.splice(stack.lastIndexOf(top.vertex));
        for (const vertex of component) open[vertex] = 0;
        if (component.length > 1) found.push(component);
      }
    }
    return found;
  }

  /** Edges between vertices of a component. */
  edgesWithin(component: readonly number[], kinds: ReadonlySet<EdgeKind>): Edge[] {
    const inside = new Set(component);
    return component.flatMap((vertex) =>
      this.#edges[vertex]!.filter((edge) => kinds.has(edge.kind) && inside.has(edge.to)),
    );
  }

  /** The fewest edges from one vertex to another, all of these kinds and within `inside`; null: there is no way. */
  path(from: number, to: number, kinds: ReadonlySet<EdgeKind>, inside: ReadonlySet<number>): Edge[] | null {
    const by = new Map<number, Edge>();
    let front = [from];
    while (front.length > 0) {
      const next: number[] = [];
      for (const vertex of front) {
        for (const edge of this.#edges[vertex]!) {
          if (!kinds.has(edge.kind) || !inside.has(edge.to) || by.has(edge.to)) continue;
          by.set(edge.to, edge);
          if (edge.to === to) return pathBack(by, from, to);
          next.push(edge.to);
        }
      }
      front = next;
    }
    return null;
  }
}

function pathBack(by: ReadonlyMap<number, Edge>, from: number, to: number): Edge[] {
  const path: Edge[] = [];
  for (let vertex = to; path.length === 0 || vertex !== from; ) {
    const edge = by.get(vertex)!;
    path.unshift(edge);
    vertex = edge.from;
  }
  return path;
}
