import { render } from 'preact';
import '../shared/base.css';
import './console.css';
import { Console } from './console.tsx';

render(<Console />, document.getElementById('app')!);
