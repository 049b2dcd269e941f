import '@fontsource-variable/inter/standard.css';
import './app.css';
import { mount } from 'svelte';
import App from './App.svelte';

const target = document.getElementById('app');
if (!target) throw new Error('the page has no place to stand in');
mount(App, { target });
