/** Plain, so that it can be shown at any address: there is no script in it. */
export const csr = false;
