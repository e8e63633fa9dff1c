import type { Messages } from './en.ts';

type Who = string | null;

const plural = (count: number, one: string, many: string) =>
	`${count.toLocaleString('es')} ${count === 1 ? one : many}`;

const list = (parts: string[]) => new Intl.ListFormat('es', { type: 'conjunction' }).format(parts);

const wait = (seconds: number) =>
	seconds < 60
		? plural(Math.max(1, Math.ceil(seconds)), 'segundo', 'segundos')
		: plural(Math.ceil(seconds / 60), 'minuto', 'minutos');

/** 'a Ana y a Luis'; the viewer is 'a ti'. */
const toPeople = (people: Who[]) => list(people.map((who) => `a ${who ?? 'ti'}`));

/** The pronoun that goes before the verb when the viewer is among those it falls on. */
const te = (people: Who[]) => (people.includes(null) ? 'te ' : '');

export const es: Messages = {
	common: {
		appName: 'Tertulia',
		save: 'Guardar',
		cancel: 'Cancelar',
		close: 'Cerrar',
		retry: 'Reintentar',
		you: 'Tú',
		showPassword: 'Mostrar contraseña',
		hidePassword: 'Ocultar contraseña',
		skipToContent: 'Ir al contenido'
	},

	titles: {
		page: (page) => `${page} · Tertulia`,
		unread: (count, page) => `(${count > 99 ? '99+' : count}) ${page}`,
		conversations: 'Conversaciones',
		settings: 'Ajustes',
		signIn: 'Entrar',
		signUp: 'Crear cuenta'
	},

	auth: {
		tagline: 'Buena charla, en un sitio tuyo.',
		description:
			'Tertulia es una mensajería que alojas tú. Tus conversaciones se quedan en tu propio servidor.'
	},
	signIn: {
		title: 'Hola de nuevo',
		login: 'Usuario o correo',
		password: 'Contraseña',
		submit: 'Entrar',
		busy: 'Entrando',
		noAccount: '¿Es tu primera vez?',
		toSignUp: 'Crea una cuenta',
		loginMissing: 'Escribe tu usuario o tu correo.',
		passwordMissing: 'Escribe tu contraseña.',
		ended: 'Tu sesión ha terminado. Entra para seguir.',
		demoTitle: 'O entra como una de las personas de muestra',
		demoHint: 'Solo en desarrollo. Sin contraseña.'
	},
	signUp: {
		title: 'Crea tu cuenta',
		name: 'Nombre',
		nameHint: 'Como te conoce la gente.',
		username: 'Usuario',
		usernameHint: (min, max) =>
			`De ${min} a ${max} caracteres: letras de la a a la z, números, punto, guion y guion bajo.`,
		email: 'Correo electrónico',
		emailHint: 'Solo lo ves tú.',
		password: 'Contraseña',
		passwordHint: (min) =>
			`Al menos ${min} caracteres. Unas cuantas palabras juntas son una buena contraseña.`,
		submit: 'Crear cuenta',
		busy: 'Creando tu cuenta',
		haveAccount: '¿Ya tienes cuenta?',
		toSignIn: 'Entra',
		nameMissing: 'Escribe tu nombre.',
		nameTooLong: (max) => `Como mucho ${max} caracteres.`,
		usernameMissing: 'Elige un usuario.',
		usernameShort: (min) => `Al menos ${min} caracteres.`,
		usernameLong: (max) => `Como mucho ${max} caracteres.`,
		usernameCharacters: 'Solo letras sin acento, números, punto, guion y guion bajo.',
		usernameEnds: 'Tiene que empezar y acabar en letra o número.',
		emailMissing: 'Escribe tu correo electrónico.',
		emailWrong: 'Eso no parece un correo electrónico.',
		passwordShort: (min) => `Al menos ${min} caracteres.`,
		passwordLong: (max) => `Como mucho ${max} caracteres.`,
		strength: {
			short: (missing) =>
				missing === 1 ? 'Falta 1 carácter' : `Faltan ${missing.toLocaleString('es')} caracteres`,
			weak: 'Fácil de adivinar',
			fair: 'Buena',
			strong: 'Muy buena'
		}
	},

	errors: {
		not_found: 'Esto no está aquí, o no es para ti.',
		not_signed_in: 'Tu sesión ha terminado. Vuelve a entrar.',
		wrong_credentials: 'El usuario y la contraseña no coinciden.',
		too_many_attempts: (seconds) => `Demasiados intentos. Espera ${wait(seconds)}.`,
		sending_too_fast: (seconds) => `Vas muy rápido. Puedes seguir en ${wait(seconds)}.`,
		username_taken: 'Alguien ya tiene ese usuario.',
		email_taken: 'Ya hay una cuenta con ese correo.',
		wrong_password: 'Esa no es tu contraseña actual.',
		invalid_input: 'Hay algo que no está bien. Revísalo y prueba otra vez.',
		too_long: (max) => `Demasiado largo: como mucho ${max.toLocaleString('es')} caracteres.`,
		not_allowed: 'Aquí no puedes hacer eso.',
		changed_meanwhile: 'Entretanto se cambió en otro dispositivo.',
		too_many_reactions: (max) => `Ya hay ${max} reacciones distintas.`,
		server_busy: 'El servidor está ocupado. Prueba dentro de un momento.',
		network: 'No hay conexión con el servidor. Prueba dentro de un momento.',
		origin_refused: 'Esta página se abrió desde otra dirección. Recárgala.',
		internal: 'Algo ha fallado por nuestra parte. Prueba otra vez.'
	},

	conversations: {
		label: 'Conversaciones',
		start: 'Nueva conversación',
		menu: (name) => `${name}: menú`,
		find: 'Busca una conversación o a alguien',
		findPlaceholder: 'Buscar',
		foundCount: (count) =>
			count === 0 ? 'Sin resultados' : plural(count, 'resultado', 'resultados'),
		startDirect: 'Escribir a alguien',
		startGroup: 'Nuevo grupo',
		clearSearch: 'Borrar la búsqueda',
		emptyTitle: 'Aún no hay conversaciones',
		emptyText: 'Busca a alguien que conozcas y salúdalo.',
		unread: (count) => plural(count, 'mensaje sin leer', 'mensajes sin leer'),
		markedUnread: 'Marcada como no leída',
		lastBy: (who) => `${who ?? 'Tú'}: `,
		noMessages: 'Aún no hay mensajes',
		untitledGroup: 'Grupo',
		people: (count) => plural(count, 'persona', 'personas')
	},

	conversation: {
		pickTitle: 'Elige una conversación',
		pickText: 'O empieza una nueva.',
		backToList: 'Volver a las conversaciones',
		actions: 'Acciones de la conversación',
		markUnread: 'Marcar como no leída',
		timeline: (name) => `Mensajes con ${name}`,
		emptyTitle: 'Aún no se ha dicho nada',
		emptyText: (name) => `Aquí hablaréis ${name} y tú.`,
		emptyGroupText: 'Saluda al grupo.',
		beginning: 'La conversación empieza aquí.',
		unreadLine: 'Nuevos',
		toNewest: 'Ir a lo último',
		newMessages: (count) => plural(count, 'mensaje nuevo', 'mensajes nuevos'),
		arrived: (name, text) => `${name} dice: ${text}`,
		leftTitle: 'Ya no estás en este grupo',
		leftText: 'Lo que se dijo queda para quienes siguen.'
	},

	composer: {
		placeholder: 'Mensaje',
		placeholderTo: (name) => `Mensaje para ${name}`,
		send: 'Enviar',
		tooLong: (over) => `${plural(over, 'carácter', 'caracteres')} de más`,
		editing: 'Editar mensaje',
		cancelEditing: 'Dejar de editar',
		saving: 'Guardando',
		deletedMeanwhile: 'El mensaje que editabas se ha eliminado.',
		dismiss: 'Cerrar aviso'
	},

	message: {
		deleted: 'Se eliminó este mensaje',
		pending: 'Enviando',
		sent: 'Enviado',
		failed: 'Sin enviar',
		retry: 'Enviar otra vez',
		discard: 'Descartar',
		copy: 'Copiar texto',
		copied: 'Copiado',
		actions: 'Acciones del mensaje',
		from: (who) => (who === null ? 'Dijiste' : `${who} dijo`),
		formerPerson: 'Alguien que se fue',
		edited: 'editado',
		edit: 'Editar',
		delete: 'Eliminar',
		deleteTitle: '¿Eliminar este mensaje?',
		deleteText: 'Se elimina para todos y no se puede recuperar.',
		history: 'Historial de cambios',
		current: 'Ahora'
	},

	reactions: {
		react: 'Reaccionar',
		names: {
			'👍': 'Pulgar arriba',
			'❤️': 'Corazón',
			'😂': 'Risa con lágrimas',
			'😮': 'Sorpresa',
			'😢': 'Tristeza',
			'🙏': 'Manos juntas'
		},
		by: (people, more) =>
			list([
				...people.map((who) => who ?? 'Tú'),
				...(more > 0 ? [more === 1 ? '1 persona más' : `${more} personas más`] : [])
			])
	},

	notices: {
		directStarted: (by) =>
			by === null ? 'Empezaste la conversación' : `${by} empezó la conversación`,
		groupCreated: (by, name) => (by === null ? `Creaste «${name}»` : `${by} creó «${name}»`),
		added: (by, people) =>
			by === null
				? `Añadiste ${toPeople(people)}`
				: people.length === 1 && people[0] === null
					? `${by} te añadió`
					: `${by} ${te(people)}añadió ${toPeople(people)}`,
		removed: (by, person) =>
			by === null
				? `Quitaste ${toPeople([person])}`
				: person === null
					? `${by} te quitó del grupo`
					: `${by} quitó ${toPeople([person])}`,
		left: (who) => (who === null ? 'Saliste' : `${who} salió`),
		renamed: (by, name) =>
			by === null ? `Llamaste al grupo «${name}»` : `${by} llamó al grupo «${name}»`
	},

	group: {
		newTitle: 'Nuevo grupo',
		name: 'Nombre del grupo',
		namePlaceholder: 'Comida del viernes',
		nameMissing: 'Ponle un nombre al grupo.',
		nameTooLong: (max) => `Como mucho ${max} caracteres.`,
		people: 'Personas',
		chosen: (count) => plural(count, 'persona elegida', 'personas elegidas'),
		peopleMissing: 'Elige a alguien.',
		create: 'Crear grupo',
		unchoose: (name) => `Sacar a ${name}`,
		details: 'Detalles del grupo',
		members: (count) => plural(count, 'persona', 'personas'),
		rename: 'Cambiar nombre',
		renameTitle: 'Cambiar el nombre del grupo',
		add: 'Añadir personas',
		addTitle: 'Añadir personas',
		addSubmit: (count) =>
			count === 0 ? 'Añadir' : `Añadir ${plural(count, 'persona', 'personas')}`,
		remove: 'Quitar',
		removeTitle: (name) => `¿Quitar a ${name}?`,
		removeText: (name) => `${name} ya no verá lo que se diga aquí.`,
		removePerson: (name) => `Quitar a ${name} del grupo`,
		leave: 'Salir del grupo',
		leaveTitle: '¿Salir de este grupo?',
		leaveText: 'Dejarás de verlo. Cualquiera que siga dentro puede volver a añadirte.',
		messagePerson: (name) => `Escribir a ${name}`,
		roles: { owner: 'Responsable', admin: 'Administra', moderator: 'Modera', member: 'Miembro' }
	},

	people: {
		find: 'Buscar personas',
		placeholder: 'Nombre o usuario',
		results: 'Personas encontradas',
		startText: 'Escribe un nombre o un usuario.',
		noneText: (query) => `Aquí nadie se llama «${query}».`,
		alreadyIn: 'Ya está en el grupo'
	},

	presence: {
		online: 'en línea',
		show: 'Mostrar a los demás cuándo estoy en línea',
		showText: 'Si lo ocultas, tampoco ves cuándo están en línea los demás.'
	},

	receipts: {
		delivered: 'Entregado',
		read: 'Leído',
		show: 'Confirmaciones',
		showText: 'Deja que los demás vean lo que has recibido y leído; así ves las suyas.'
	},

	settings: {
		title: 'Ajustes',
		open: 'Ajustes',
		signOut: 'Cerrar sesión',
		signOutTitle: '¿Cerrar la sesión de todos modos?',
		signOutText: (count) =>
			`${count === 1 ? 'Queda 1 mensaje' : `Quedan ${count.toLocaleString('es')} mensajes`} por enviar. Al cerrar la sesión, lo que no se ha enviado se borra de este dispositivo.`,
		profile: 'Perfil',
		name: 'Nombre',
		username: 'Usuario',
		email: 'Correo electrónico',
		appearance: 'Aspecto',
		theme: 'Tema',
		themeSystem: 'Sistema',
		themeLight: 'Claro',
		themeDark: 'Oscuro',
		language: 'Idioma',
		privacy: 'Privacidad',
		password: 'Contraseña',
		passwordChange: 'Cambiar contraseña',
		passwordCurrent: 'Contraseña actual',
		passwordNew: 'Contraseña nueva',
		passwordCurrentMissing: 'Escribe tu contraseña actual.',
		passwordChanged: 'Contraseña cambiada. Tus otras sesiones se han cerrado.',
		sessions: 'Sesiones',
		sessionsText: 'Dónde tienes la sesión abierta.',
		notKept:
			'Este navegador no deja guardar nada en el dispositivo: las conversaciones se cargan de nuevo cada vez, y lo que no se ha enviado se pierde al cerrar la pestaña.',
		thisSession: 'Esta',
		activeNow: 'Activa ahora',
		lastActive: (ago) => `Activa ${ago}`,
		device: (browser, system) => `${browser} en ${system}`,
		unknownDevice: 'Dispositivo desconocido',
		endSession: 'Cerrar',
		endSessionOn: (device) => `Cerrar la sesión de ${device}`,
		endOthers: 'Cerrar las demás',
		endOthersTitle: '¿Cerrar las demás sesiones?',
		endOthersText: 'Tus otros dispositivos salen al momento. Este sigue dentro.',
		sessionEnded: 'Sesión cerrada',
		othersEnded: 'Las demás sesiones se han cerrado'
	},

	connection: {
		offline: 'Sin conexión. Lo que escribas saldrá luego.',
		reconnecting: 'Reconectando',
		unsentNotKept:
			'No cierres esta pestaña: lo que no se ha enviado no se puede guardar en este dispositivo.',
		newVersion: 'Hay una versión nueva.',
		incomplete: 'Una parte de la app no se ha podido cargar.',
		reload: 'Recargar'
	},
	outbox: {
		slowDown: (seconds) => `El envío sigue en ${wait(seconds)}.`
	},

	errorPage: {
		notFoundTitle: 'Aquí no hay nada',
		notFoundText: 'Puede que haya cambiado de sitio, o que no sea para ti.',
		brokenTitle: 'Algo ha fallado',
		brokenText: 'No es cosa tuya. Prueba otra vez o vuelve dentro de un momento.',
		offlineTitle: 'Sin conexión',
		offlineText: 'Esta página no se puede abrir sin ella.',
		home: 'A tus conversaciones',
		reload: 'Recargar'
	},

	keyboard: {
		title: 'Teclado',
		open: 'Ayuda del teclado',
		send: 'Enviar',
		newLine: 'Línea nueva',
		nextConversation: 'Conversación siguiente',
		previousConversation: 'Conversación anterior',
		search: 'Buscar conversaciones',
		moveInList: 'Moverse por listas y mensajes',
		messageActions: 'Acciones del mensaje enfocado',
		editLast: 'Editar tu último mensaje, si no hay nada escrito',
		close: 'Cerrar o volver',
		help: 'Esta ayuda'
	}
};
