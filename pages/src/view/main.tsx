import '../shared/base.css';
import { render } from 'preact';

render(<main class="plain">…</main>, document.getElementById('app')!);
