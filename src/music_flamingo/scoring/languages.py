"""Words of options in other languages: a model that is asked in English may answer in the language it knows best.

Instruments, genres, modes, moods of tempo, yes and no: the words that stand alone as options. Each line: English, then
its names in Chinese, Japanese, German, French, Spanish, Russian, and for some in Korean, Italian and Portuguese.
"""

from functools import lru_cache

_TABLE = """
yes|是|是的|有|对|はい|ja|oui|sí|si|да|예|네|sim
no|否|不是|没有|不|いいえ|nein|non|нет|아니요|아니오|não|nej|nee
violin|小提琴|バイオリン|ヴァイオリン|violine|geige|violon|violín|скрипка|바이올린|violino
viola|中提琴|ヴィオラ|bratsche|alto|виола|альт
cello|大提琴|チェロ|violoncello|violoncelle|violonchelo|виолончель|첼로|violoncelo
double bass|低音提琴|コントラバス|kontrabass|contrebasse|contrabajo|контрабас
piano|钢琴|鋼琴|ピアノ|klavier|пианино|фортепиано|피아노|pianoforte
guitar|吉他|ギター|gitarre|guitare|guitarra|гитара|기타|chitarra|violão
acoustic guitar|原声吉他|木吉他|アコースティックギター|akustische gitarre|guitare acoustique|guitarra acústica
electric guitar|电吉他|エレキギター|e gitarre|guitare électrique|guitarra eléctrica|электрогитара
bass|贝斯|ベース|basse|bajo|бас
drums|鼓|架子鼓|ドラム|schlagzeug|batterie|batería|барабаны|드럼|batteria|bateria
drum|鼓|ドラム|trommel|tambour|tambor|барабан
flute|长笛|長笛|フルート|flöte|querflöte|flûte|flauta|флейта|플루트|flauto
clarinet|单簧管|クラリネット|klarinette|clarinette|clarinete|кларнет
oboe|双簧管|オーボエ|hautbois|гобой
bassoon|巴松|大管|ファゴット|fagott|basson|fagot|фагот
saxophone|萨克斯|サックス|サクソフォン|saxophon|saxofon|saxofón|саксофон|색소폰|sassofono|saxofone
trumpet|小号|トランペット|trompete|trompette|trompeta|труба|트럼펫|tromba
trombone|长号|トロンボーン|posaune|trombón|тромбон
tuba|大号|チューバ|туба
horn|圆号|ホルン|cor|trompa|валторна
harp|竖琴|ハープ|harfe|harpe|arpa|арфа
organ|管风琴|オルガン|orgel|orgue|órgano|орган
accordion|手风琴|アコーディオン|akkordeon|accordéon|acordeón|аккордеон
banjo|班卓琴|バンジョー|банджо
ukulele|尤克里里|ウクレレ|укулеле
xylophone|木琴|シロフォン|xylophon|xilófono|ксилофон
voice|人声|声|stimme|voix|voz|голос
singing|歌唱|唱歌|gesang|chant|canto|пение
major|大调|長調|dur|majeur|mayor|мажор
minor|小调|短調|moll|mineur|menor|минор
fast|快|快速|速い|schnell|rapide|rápido|быстро|быстрый
slow|慢|缓慢|遅い|langsam|lent|lento|медленно|медленный
happy|快乐|欢快|楽しい|fröhlich|glücklich|joyeux|feliz|alegre|весёлый
sad|悲伤|悲しい|traurig|triste|грустный
jazz|爵士|爵士乐|ジャズ|джаз
rock|摇滚|摇滚乐|ロック|рок
pop|流行|流行音乐|ポップ|поп
classical|古典|古典音乐|クラシック|klassik|klassisch|classique|clásica|классика
blues|蓝调|布鲁斯|ブルース|блюз
country|乡村|乡村音乐|カントリー|кантри
hip hop|嘻哈|ヒップホップ|хип хоп
reggae|雷鬼|レゲエ|регги
metal|金属|メタル|метал
disco|迪斯科|ディスコ|диско
male|男|男性|男声|männlich|masculin|masculino|мужской
female|女|女性|女声|weiblich|féminin|femenino|женский
2|两个|两种|两件|二つ|두 개|zwei|deux|dos|due|dois|два
3|三个|三种|三件|三つ|세 개|drei|trois|tres|tre|três|три
4|四个|四种|四件|四つ|네 개|vier|quatre|cuatro|quattro|четыре
5|五个|五种|五件|五つ|다섯 개|fünf|cinq|cinco|cinque|пять
"""


@lru_cache(maxsize=1)
def _foreign() -> dict[str, tuple[str, ...]]:
    rows = [line.split("|") for line in _TABLE.strip().split("\n")]
    return {row[0]: tuple(row[1:]) for row in rows}


def english_of(names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """(word of another language, the name that it stands for) for the names that the table has."""
    table = _foreign()
    if table.keys().isdisjoint(names):
        return ()
    return tuple((word, name) for name in names for word in table.get(name, ()))
