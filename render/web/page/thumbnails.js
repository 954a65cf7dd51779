// Pictures that ask again: the main node makes a few at a time, and refuses the rest for a moment.

const TRIES_MAX = 6;

/**
 * @param {HTMLImageElement} image
 * @param {string} url
 */
export function withRetry(image, url) {
  let tries = 0;
  image.addEventListener('error', () => {
    tries += 1;
    image.classList.add('waits');
    if (tries > TRIES_MAX) return;
    setTimeout(
      () => {
        // The same address again would not be asked for.
        image.src = `${url}${url.includes('?') ? '&' : '?'}try=${tries}`;
      },
      300 * 2 ** tries + Math.random() * 300,
    );
  });
  image.addEventListener('load', () => image.classList.remove('waits'));
  image.src = url;
  return image;
}
