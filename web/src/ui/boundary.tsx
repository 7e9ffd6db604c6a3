import { Component, type ReactNode } from "react";

/** Keeps a view that failed from taking the others with it. */
export class Boundary extends Component<{ children: ReactNode }, { error: Error | null }> {
  override state: { error: Error | null } = { error: null };

  static getDerivedStateFromError(error: Error) {
    return { error };
  }

  override render() {
    if (!this.state.error) return this.props.children;
    // A part of the page that cannot be fetched is most often one of another version: the node was updated.
    return (
      <main id="main" className="empty" role="alert">
        <h1>This page failed</h1>
        <p>{this.state.error.message}</p>
        <div className="actions centred">
          <button type="button" className="primary" onClick={() => location.reload()}>
            Load it again
          </button>
        </div>
      </main>
    );
  }
}
