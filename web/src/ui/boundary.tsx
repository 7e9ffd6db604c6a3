import { Component, type ReactNode } from "react";

/** Contains the failure of a view, so that the others still work. */
export class Boundary extends Component<{ children: ReactNode }, { error: Error | null }> {
  override state: { error: Error | null } = { error: null };

  static getDerivedStateFromError(error: Error) {
    return { error };
  }

  override render() {
    if (!this.state.error) return this.props.children;
    // If a part of the page cannot be loaded, most often the node was updated, and the part belongs to the old version.
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
