import '@fontsource-variable/inter/standard.css';
import './app.css';
import { mount } from 'svelte';

const target = document.getElementById('app');
if (!target) throw new Error('the page has no place to stand in');

// A firm's page and that of the platform's operators share styles and nothing else: each is loaded
// alone, with a sign-in of its own.
const isPlatform = /^\/platform\/?$/.test(location.pathname);
const page = isPlatform ? import('./platform/Platform.svelte') : import('./App.svelte');
void page.then(({ default: Page }) => mount(Page, { target }));
