import { render } from 'preact';
import '../shared/base.css';
import './sign-in.css';
import { SignIn } from './sign-in.tsx';

render(<SignIn />, document.getElementById('app')!);
