import type { ReactNode } from "react";

/** Icons of 16 px in the colour of their text, hidden from screen readers: each has a word next to it. */
function Icon({ children }: { children: ReactNode }) {
  return (
    <svg className="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false" fill="none" stroke="currentColor" strokeWidth="1.6" strokeLinecap="round" strokeLinejoin="round">
      {children}
    </svg>
  );
}

export const CheckIcon = () => (
  <Icon>
    <circle cx="8" cy="8" r="6" />
    <path d="m5.4 8.2 1.8 1.8 3.4-3.8" />
  </Icon>
);
export const WarmIcon = () => (
  <Icon>
    <circle cx="8" cy="8" r="6" />
    <path d="M8 2a6 6 0 0 1 0 12Z" fill="currentColor" />
  </Icon>
);
export const DrainIcon = () => (
  <Icon>
    <path d="M8 2v8m0 0 3-3m-3 3L5 7M3 13.5h10" />
  </Icon>
);
export const CrossIcon = () => (
  <Icon>
    <circle cx="8" cy="8" r="6" />
    <path d="m5.8 5.8 4.4 4.4m0-4.4-4.4 4.4" />
  </Icon>
);
export const EjectIcon = () => (
  <Icon>
    <path d="M8 3 13 9H3ZM3 12.8h10" />
  </Icon>
);
export const WarnIcon = () => (
  <Icon>
    <path d="M8 2.2 14.2 13H1.8ZM8 6.4v3.2M8 11.4v.1" />
  </Icon>
);
export const InfoIcon = () => (
  <Icon>
    <circle cx="8" cy="8" r="6" />
    <path d="M8 7.4v3.4M8 5.2v.1" />
  </Icon>
);
export const LinkIcon = () => (
  <Icon>
    <circle cx="8" cy="8" r="2" fill="currentColor" />
    <path d="M4.2 4.2a5.4 5.4 0 0 0 0 7.6m7.6-7.6a5.4 5.4 0 0 1 0 7.6" />
  </Icon>
);
export const LostIcon = () => (
  <Icon>
    <path d="M2.5 2.5l11 11M4.2 5a5.4 5.4 0 0 0 0 6.8m7.6-7.6a5.4 5.4 0 0 1 .6 6.4" />
  </Icon>
);
export const CloseIcon = () => (
  <Icon>
    <path d="m4 4 8 8m0-8-8 8" />
  </Icon>
);
export const ThemeIcon = () => (
  <Icon>
    <circle cx="8" cy="8" r="6" />
    <path d="M8 2a6 6 0 0 0 0 12Z" fill="currentColor" />
  </Icon>
);
export const PauseIcon = () => (
  <Icon>
    <path d="M5.5 3.5v9m5-9v9" strokeWidth="2.2" />
  </Icon>
);
export const PlayIcon = () => (
  <Icon>
    <path d="M5 3.2 12.5 8 5 12.8Z" fill="currentColor" />
  </Icon>
);
export const BreakIcon = () => (
  <Icon>
    <path d="M9 1.8 4 9h4l-1 5.2L12 7H8Z" />
  </Icon>
);

export function MenuIcon() {
  return (
    <Icon>
      <path d="M2 4h12M2 8h12M2 12h12" />
    </Icon>
  );
}
