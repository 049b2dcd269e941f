/** A dialog over the page: while it is there nothing else has the focus, and afterwards it is where it was. */
export function modal(dialog: HTMLDialogElement): { destroy: () => void } {
  const before = document.activeElement;
  dialog.showModal();
  return {
    destroy() {
      // What is taken away while it is shown does not give it back by itself.
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    },
  };
}
