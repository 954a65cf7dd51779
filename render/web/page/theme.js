// Puts the chosen theme on the page before it is painted; main.js lets one choose. 'system' follows the device.
{
  const theme = localStorage.getItem('theme');
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset['theme'] = theme;
}
