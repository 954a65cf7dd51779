// What a sequential object does: the specification that a concurrent history is held against.
// register-model.ts and counter-model.ts are the ones there are; the search in linearizability.ts knows none of them.

export interface Model<State, Input, Output> {
  readonly name: string;
  readonly initial: State;
  /**
   * The states after `input` was carried out in `state` and answered with `output`: none if the object would have
   * answered otherwise. `output` null is an answer nobody saw: any is right. Several states stand for what the
   * history does not tell, such as a version that only a later read shows.
   */
  step(state: State, input: Input, output: Output | null): readonly State[];
  /** Equal for equal states and for no others. */
  identity(state: State): string;
  /** Never changes the state: without an answer it says nothing. */
  isRead(input: Input): boolean;
  describe(input: Input, output: Output | null): string;
}
