/** A mouse or a trackpad, and so very likely a keyboard too. */
export const hasFinePointer = () => matchMedia('(hover: hover) and (pointer: fine)').matches;

/** One pane at a time; the same width as in the style sheets. */
export const isPhone = () => matchMedia('(max-width: 47.49rem)').matches;
